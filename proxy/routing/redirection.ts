/** What an error reply asks of a cluster client (Redis cluster specification, "Redirection and resharding"). */
export type Redirection =
  /** The slot has moved for good: ask this node from now on. */
  | { readonly kind: "moved"; readonly slot: number; readonly host: string; readonly port: number }
  /** The slot is on its way: ask this node for this request only, with ASKING before it. */
  | { readonly kind: "ask"; readonly slot: number; readonly host: string; readonly port: number }
  /** Nothing was executed, and the same request may be answered in a moment. */
  | { readonly kind: "later"; readonly word: string };

/**
 * Errors that mean "not executed, not now", by their first words; a script's own error may begin with the first of them, and
 * would be run again. TRYAGAIN: keys split by a migration. CLUSTERDOWN, LOADING: the data set is being read. MASTERDOWN: a
 * replica without its master. READONLY: a write met a replica. UNBLOCKED: a blocked client of a demoted master. (redis 6.0 to
 * 8.0, `cluster.c`, `server.c` and `blocked.c`; Valkey has its own name in LOADING.)
 */
const LATER: ReadonlyMap<string, RegExp> = new Map([
  ["TRYAGAIN", /^TRYAGAIN Multiple keys request during rehashing/],
  ["CLUSTERDOWN", /^CLUSTERDOWN (The cluster is down|Hash slot not served)/],
  ["LOADING", /^LOADING \w+ is loading the dataset/],
  ["MASTERDOWN", /^MASTERDOWN Link with MASTER is down/],
  ["READONLY", /^READONLY You can't write against a read only/],
  ["UNBLOCKED", /^UNBLOCKED force unblock/],
]);
const INITIALS = new Uint8Array(256);
for (const word of [...LATER.keys(), "MOVED", "ASK"]) INITIALS[word.charCodeAt(0)] = 1;

/** Whether an error line whose second byte (the one behind `-`) is `initial` could be a redirection at all. */
export function mayRedirect(initial: number): boolean {
  return INITIALS[initial] === 1;
}

/**
 * Reads an error line (`-MOVED 3999 10.0.0.1:7001`, with or without its CR LF).
 *
 * @param from the host that sent it: a redirection without a host means that one (Redis 7.0, `cluster-preferred-endpoint-type`)
 * @returns undefined where the error is the request's own answer
 */
export function parseRedirection(line: string, from: string): Redirection | undefined {
  const [word, slotText, address] = line.slice(1).trimEnd().split(" ");
  if (word === undefined) return undefined;
  if (LATER.get(word)?.test(line.slice(1)) === true) return { kind: "later", word };
  if (word !== "MOVED" && word !== "ASK") return undefined;
  const slot = Number(slotText);
  const colon = address?.lastIndexOf(":") ?? -1;
  const port = Number(address?.slice(colon + 1));
  if (!Number.isInteger(slot) || slot < 0 || slot > 16_383 || colon < 0 || !Number.isInteger(port) || port <= 0 || port > 65_535) return undefined;
  const host = address!.slice(0, colon);
  return { kind: word === "MOVED" ? "moved" : "ask", slot, host: host === "" || host === "?" ? from : host, port };
}
