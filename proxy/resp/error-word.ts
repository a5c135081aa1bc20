import { MINUS } from "./bytes.ts";

/** The longest word that is looked for, with the byte before it. */
const MOST_BYTES = 32;

/** The first word of the error reply `bytes[start, end)` (`WRONGTYPE`, `ERR`); undefined where the reply is no error. */
export function errorWord(bytes: Buffer, start = 0, end = bytes.length): string | undefined {
  return bytes[start] === MINUS ? /^-([A-Z]*)/.exec(bytes.toString("latin1", start, Math.min(end, start + MOST_BYTES)))![1]! : undefined;
}
