import type { TestProxy } from "../../support/access-proxy.ts";

/** Where a client is to go, and who it is; to programs in other languages it comes as JSON on standard input. */
export interface ClientTarget {
  readonly host: string;
  readonly port: number;
  /** The name that the proxy's certificate carries. */
  readonly serverName: string;
  /** Paths of PEM files. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly user: string;
  readonly password: string;
  /** Begins every key and channel that the client uses. */
  readonly prefix: string;
}

/** What a client library made of the proxy's answers to the one scenario that all of them run; JSON on standard output. */
export interface ClientReport {
  /** GET of `greeting` after SET. */
  readonly get: string | null;
  /** GET of a key that is not there. */
  readonly missing: string | null;
  /** 100 times INCR of `counter` in one pipeline. */
  readonly pipeline: readonly number[];
  /** MGET of `m0` to `m9`, of which those with even numbers were set to their number. */
  readonly mget: readonly (string | null)[];
  /** EVAL of a script that returns its key `k` without the prefix, its argument `v`, and the number 7. */
  readonly eval: readonly unknown[];
  /** BLPOP that waits when the value `x` is pushed by another connection. */
  readonly blpop: string | null;
  /** BLPOP of a list that stays empty, of a second. */
  readonly blpopEmpty: string | null;
  /** What was stored of all 256 bytes under a key with the same bytes behind the prefix, in hexadecimal. */
  readonly binary: string;
  /** Messages after SUBSCRIBE a b, PUBLISH a 1, PUBLISH b 2, UNSUBSCRIBE a, PUBLISH a 3, PUBLISH b 4. */
  readonly messages: readonly string[];
  /** The error's text of LPUSH to a string, with its first word. */
  readonly error: string;
  /** The error's text of a command that the profile does not offer. */
  readonly refused: string;
  /** The error's text of a login with a wrong password. */
  readonly wrongPassword: string;
  /** Whether the proxy answered a client that showed no certificate. */
  readonly servedWithoutCertificate: boolean;
}

/** The target that a proxy is for the user alice. */
export function targetOf(proxy: TestProxy, prefix: string): ClientTarget {
  const { password, username } = { password: proxy.target.passwords["alice"]!, username: "alice" };
  return { host: "127.0.0.1", port: proxy.port, serverName: "localhost", ...proxy.tlsFiles(), user: username, password, prefix };
}

/** All bytes that there are. */
export const allBytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
