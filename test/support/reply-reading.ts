import { ReplyScanner } from "../../proxy/resp/reply-scanner.ts";

/**
 * Where replies end in the stream that the chunks make, and whether the last one is whole, by the proxy's scanner.
 *
 * @param ends the same, for who wants those before a fault
 * @throws ProtocolError where the bytes can be no reply
 */
export function replyEnds(chunks: readonly Buffer[], ends: number[] = []): { ends: number[]; between: boolean } {
  const scanner = new ReplyScanner();
  let base = 0;
  for (const chunk of chunks) {
    for (let pos = 0; pos < chunk.length; ) {
      const end = scanner.scan(chunk, pos, chunk.length);
      if (end < 0) break;
      ends.push(base + end);
      pos = end;
    }
    base += chunk.length;
  }
  return { ends, between: scanner.between };
}

/** Thrown where bytes are no reply by the letter of the specification. */
export class NoReplyError extends Error {
  readonly code = "NO_REPLY";
}

/**
 * Where the reply that begins at `pos` ends, in RESP2 or RESP3, by the letter of the specification and the straightest way:
 * what the scanner is held against.
 *
 * @returns undefined where it is not whole
 * @throws NoReplyError where it is none
 */
export function endOfReply(bytes: Buffer, pos: number): number | undefined {
  const newline = bytes.indexOf("\n", pos);
  if (newline < 0) return undefined;
  const lineEnd = newline - 1;
  if (bytes.indexOf("\r", pos) !== lineEnd) throw new NoReplyError("a line does not end in CR LF, or has a CR within");
  const type = String.fromCharCode(bytes[pos]!);
  const text = bytes.toString("latin1", pos + 1, lineEnd);
  const form = FORMS[type];
  if (form?.test(text) !== true) throw new NoReplyError(`${type}${text}`);
  const next = lineEnd + 2;
  if (!"$=!*~>%|".includes(type)) return next;
  const length = Number(text);
  if ("$=!".includes(type)) {
    if (length < 0) return next;
    const end = next + length;
    if (end + 2 > bytes.length) return undefined;
    if (bytes.toString("latin1", end, end + 2) !== "\r\n") throw new NoReplyError("a bulk string does not end where it says");
    return end + 2;
  }
  let at: number | undefined = next;
  const values = "%|".includes(type) ? 2 * length : length;
  for (let i = 0; i < values + Number(type === "|"); i++) {
    if (at >= bytes.length) return undefined;
    at = endOfReply(bytes, at);
    if (at === undefined) return undefined;
  }
  return at;
}

const line = /^[^\r\n]*$/;
const length = /^\d{1,12}$/;
const lengthOrNil = /^(-1|\d{1,12})$/;
const FORMS: Readonly<Record<string, RegExp>> = {
  ...{ "+": line, "-": line, ":": line, "_": line, "#": line, ",": line, "(": line },
  ...{ "$": lengthOrNil, "*": lengthOrNil, "=": length, "!": length, "~": length, ">": length, "%": length, "|": length },
};
