import { ProtocolError } from "../../proxy/resp/protocol-error.ts";
import { RequestParser } from "../../proxy/resp/request-parser.ts";
import type { RequestLimits } from "../../proxy/resp/request-parser.ts";

/** What a RequestParser makes of bytes. */
export interface RequestReading {
  /** The arguments of each command. */
  readonly commands: Buffer[][];
  readonly frames: Buffer[];
  /** What it says of bytes that are no command. */
  readonly error: string | undefined;
  /** Bytes at the end that belong to no command. */
  readonly left: number;
}

/**
 * Has a new parser read a stream that comes in these chunks; whatever it throws that is no ProtocolError is thrown.
 * @param together so many chunks come before commands are taken: a client that waits is read ahead
 */
export function readRequests(chunks: readonly Buffer[], limits: RequestLimits, together = 1): RequestReading {
  const parser = new RequestParser(limits);
  const commands: Buffer[][] = [];
  const frames: Buffer[] = [];
  try {
    for (const [index, chunk] of chunks.entries()) {
      parser.push(chunk);
      if ((index + 1) % together > 0 && index + 1 < chunks.length) continue;
      while (parser.next()) {
        const { frame, start, offsets } = parser;
        commands.push(Array.from({ length: parser.argc }, (_, i) => Buffer.from(frame.subarray(start + offsets[2 * i]!, start + offsets[2 * i + 1]!))));
        // No copy: what is handed on is never written to again.
        frames.push(frame.subarray(start, parser.end));
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { commands, frames, error: error.message, left: parser.buffered };
  }
  return { commands, frames, error: undefined, left: parser.buffered };
}
