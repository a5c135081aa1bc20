import { CR, LF } from "./bytes.ts";
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
 * @throws ProtocolError where the bytes are no reply, not a whole one, or more than one
 */
export function decodeReply(buffer: Buffer): ReplyValue {
  const [value, end] = decode(buffer, 0, 0);
  if (end !== buffer.length) throw new ProtocolError("more than one reply");
  return value;
}

function decode(buffer: Buffer, pos: number, depth: number): [ReplyValue, number] {
  if (depth > MAX_DEPTH) throw new ProtocolError("a reply is nested too deeply");
  const lineEnd = buffer.indexOf(CR, pos);
  if (lineEnd < 0 || lineEnd + 1 >= buffer.length) throw new ProtocolError("a reply is not whole");
  if (buffer[lineEnd + 1] !== LF) throw new ProtocolError("a line of a reply does not end in CR LF");
  const text = buffer.toString("latin1", pos + 1, lineEnd);
  const next = lineEnd + 2;
  switch (String.fromCharCode(buffer[pos]!)) {
    case "+":
      return [text, next];
    case "-":
      return [new ReplyError(text), next];
    case ":":
      return [number(text), next];
    case "$": {
      const length = number(text);
      if (length < 0) return [null, next];
      const end = next + length;
      if (end + 2 > buffer.length) throw new ProtocolError("a reply is not whole");
      if (buffer[end] !== CR || buffer[end + 1] !== LF) throw new ProtocolError("a bulk string of a reply does not end where it says");
      return [buffer.toString("latin1", next, end), end + 2];
    }
    case "*": {
      const count = number(text);
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

function number(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new ProtocolError("a number of a reply is none");
  return Number(text);
}
