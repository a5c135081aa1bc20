/** The byte values that RESP gives a meaning (Redis serialization protocol specification, "RESP protocol description"). */
export const CR = 0x0d;
export const LF = 0x0a;
export const ASTERISK = 0x2a;
export const DOLLAR = 0x24;
export const PLUS = 0x2b;
export const MINUS = 0x2d;
export const COLON = 0x3a;
export const ZERO = 0x30;
export const NINE = 0x39;

/** A buffer of no bytes, shared by all who need one. */
export const EMPTY = Buffer.alloc(0);

/**
 * Whether the bytes `[start, end)` of `buffer` spell `word`, ASCII letters compared without case.
 *
 * @param word in lower case
 */
export function spells(buffer: Buffer, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    if (toLower(buffer[start + i]!) !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** `byte` with an ASCII capital made small; every other byte as it is. */
export function toLower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
