import { LF, CR } from "./bytes.ts";

const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const ESCAPES: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, b: 0x08, a: 0x07 };

/**
 * Splits an inline command into its arguments as Redis does (redis `sds.c`, `sdssplitargs`): blanks separate,
 * `"…"` understands `\xHH` and `\n \r \t \b \a`, `'…'` understands `\'` only. A vertical tab or form feed stands between words
 * only where another blank has ended the one before: inside a word it is a byte like others.
 *
 * @param line without zero bytes
 * @returns the arguments (none for a blank line), or `undefined` where quotes are unbalanced or text follows a closing quote
 */
export function splitInline(line: Buffer): Buffer[] | undefined {
  const parts: Buffer[] = [];
  let pos = 0;
  for (;;) {
    while (pos < line.length && isSpace(line[pos]!)) pos++;
    if (pos >= line.length) return parts;
    const bytes: number[] = [];
    let open = 0;
    for (; ; pos++) {
      if (pos >= line.length) {
        if (open !== 0) return undefined;
        break;
      }
      const byte = line[pos]!;
      if (open === 0) {
        if (endsWord(byte)) break;
        if (byte === QUOTE || byte === APOSTROPHE) open = byte;
        else bytes.push(byte);
      } else if (byte === BACKSLASH && open === QUOTE && pos + 1 < line.length) {
        pos += unescape(line, pos + 1, bytes);
      } else if (byte === BACKSLASH && open === APOSTROPHE && line[pos + 1] === APOSTROPHE) {
        bytes.push(APOSTROPHE);
        pos++;
      } else if (byte === open) {
        if (pos + 1 < line.length && !isSpace(line[pos + 1]!)) return undefined;
        pos++;
        break;
      } else {
        bytes.push(byte);
      }
    }
    parts.push(Buffer.from(bytes));
  }
}

function unescape(line: Buffer, pos: number, out: number[]): number {
  const hex = line.toString("latin1", pos, pos + 3);
  if (/^x[0-9a-fA-F]{2}$/.test(hex)) {
    out.push(parseInt(hex.slice(1), 16));
    return 3;
  }
  const byte = line[pos]!;
  out.push(ESCAPES[String.fromCharCode(byte)] ?? byte);
  return 1;
}

function endsWord(byte: number): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB;
}

/** C's `isspace`. */
function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= TAB && byte <= CR);
}
