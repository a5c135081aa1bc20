/** What a node's reply to AUTH says of the login. */
export type LoginVerdict =
  | "accepted"
  /** The user or the password is wrong, and would be at every other node too. */
  | "refused"
  /** The node says nothing of the login (LOADING, `ERR max number of clients reached`, bytes that are no reply to AUTH): another may. */
  | "unsettled";

/**
 * The words of Redis for a login that is wrong: WRONGPASS since 6.0, `ERR invalid password` before; NOPERM and `ERR AUTH …` where
 * AUTH itself is not for this user or without a password (redis `acl.c` and `server.c`).
 */
const REFUSALS = /^-(WRONGPASS|NOPERM|ERR (AUTH|invalid password|Client sent AUTH))/;

/** Reads the line of a reply to AUTH, without its CR LF. */
export function loginVerdict(line: string): LoginVerdict {
  if (line === "+OK") return "accepted";
  return REFUSALS.test(line) ? "refused" : "unsettled";
}
