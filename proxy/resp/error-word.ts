import { MINUS } from "../resp/bytes.ts";

/** The first word of an error reply (`WRONGTYPE`, `ERR`); undefined where the reply is no error. */
export function errorWord(reply: Buffer): string | undefined {
  return reply[0] === MINUS ? /^-([A-Z]*)/.exec(reply.toString("latin1", 0, 32))![1]! : undefined;
}
