import type { Merge } from "./merge.ts";

/** What a client sees of a cluster: which commands it may not send, and which are more than a message to one node. */
export interface Profile {
  readonly name: "guide";
  /** Set before every error text that is the proxy's own. */
  readonly errorPrefix: string;
  /** Names in lower case, subcommands as `container|sub`, that are refused. */
  readonly refused: ReadonlySet<string>;
  /** Commands sent to every master, and how their replies become one. */
  readonly everyMaster: ReadonlyMap<string, Merge>;
  /** Names (lower case) of all commands that this profile handles by name: they are never routed by key alone. */
  readonly special: ReadonlySet<string>;
}

const REFUSED = [
  "acl asking client cluster config debug exec hello info latency memory migrate module monitor multi pfdebug pfselftest",
  "psubscribe psync punsubscribe readonly readwrite replconf replicaof role scan script|debug script|kill shutdown slaveof",
  "slowlog ssubscribe sunsubscribe sync time wait watch",
]
  .join(" ")
  .split(" ");

const EVERY_MASTER: readonly (readonly [string, Merge])[] = [
  ["dbsize", "sum"],
  ["keys", "concatenate"],
  ["flushdb", "allSucceeded"],
  ["flushall", "allSucceeded"],
  ["script|exists", "logicalAnd"],
  ["script|load", "allSucceeded"],
  ["script|flush", "allSucceeded"],
  ["randomkey", "anyValue"],
];

/** Commands that the session itself understands, whatever the server says of them. */
const SESSION = ["auth", "hello", "quit", "reset", "subscribe", "unsubscribe", "ping", "mget"];

/**
 * The command profile of the guide "Database access with Redis Cluster": its table of refused commands byte for byte,
 * its specially handled ones by effect. Beyond its tables, commands that the server's own tips send to every shard
 * (FUNCTION LOAD …) go to every master.
 */
export const GUIDE_PROFILE: Profile = {
  name: "guide",
  errorPrefix: "ERR Teleport: ",
  refused: new Set(REFUSED),
  everyMaster: new Map(EVERY_MASTER),
  special: new Set([...REFUSED, ...EVERY_MASTER.map(([name]) => name), ...SESSION].map((name) => name.replace(/\|.*/, ""))),
};
