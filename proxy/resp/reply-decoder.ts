import { CR } from "./bytes.ts";
import { ProtocolError } from "./protocol-error.ts";

/** An error that Redis answered with; `message` is its line without the leading `-`. */
export class ReplyError extends Error {
  readonly code = "REDIS_ERROR";

  constructor(message: string) {
    super(message);
    this.name = "ReplyError";
  }
}

/** A reply's value. Simple and bulk strings are both strings of Latin-1 characters, one a byte; maps are flat lists. */
export type ReplyValue = string | number | null | ReplyError | ReplyValue[];

/** Deeper nesting than any reply the proxy itself asks for. */
const MAX_DEPTH = 32;

/**
 * Reads one whole RESP2 reply. Only for the proxy's own questions (COMMAND, CLUSTER NODES …); clients' replies pass unread.
 *
 * @throws ProtocolError where the bytes are no reply, or not a whole one
 */
export function decodeReply(buffer: Buffer): ReplyValue {
  return decode(buffer, 0, 0)[0];
}

function decode(buffer: Buffer, pos: number, depth: number): [ReplyValue, number] {
  if (depth > MAX_DEPTH) throw new ProtocolError("a reply is nested too deeply");
  const lineEnd = buffer.indexOf(CR, pos);
  if (lineEnd < 0) throw new ProtocolError("a reply is not whole");
  const text = buffer.toString("latin1", pos + 1, lineEnd);
  const next = lineEnd + 2;
  switch (String.fromCharCode(buffer[pos]!)) {
    case "+":
      return [text, next];
    case "-":
      return [new ReplyError(text), next];
    case ":":
      return [Number(text), next];
    case "$": {
      const length = Number(text);
      if (length < 0) return [null, next];
      if (next + length + 2 > buffer.length) throw new ProtocolError("a reply is not whole");
      return [buffer.toString("latin1", next, next + length), next + length + 2];
    }
    case "*": {
      const count = Number(text);
      if (count < 0) return [null, next];
      const values: ReplyValue[] = [];
      let at = next;
      for (let i = 0; i < count; i++) {
        const [value, after] = decode(buffer, at, depth + 1);
        values.push(value);
        at = after;
      }
      return [values, at];
    }
    default:
      throw new ProtocolError("a reply starts with a byte that names no type");
  }
}
