import type { Request } from "../resp/request-parser.ts";
import { argumentWord } from "./keys.ts";
import type { Plan } from "./plan.ts";
import { notSubscribed, refusal, SESSION_PLANS } from "./plan.ts";
import type { Profile } from "./profile.ts";

/** A standalone server's plans: those of a cluster, and one more. */
export type StandalonePlan =
  | Plan
  /** The command leaves state in its connection: from here on the session has one of its own. */
  | { readonly kind: "own" };

/** Commands whose effect stays with the connection: transactions, the selected database, and the connection's own settings. */
const STATEFUL = new Set(["multi", "watch", "select", "client", "readonly", "readwrite", "script|debug"]);
/** Says of a connection which library uses it, and nothing else: most libraries begin with it, and would each have one of their own. */
const SAID_OF_ANY = "client|setinfo";

/**
 * Commands that may keep their connection waiting (the flag `blocking` of the COMMAND reply, Redis 6.0 to 8), and those that
 * end a script: on the shared connection they would wait behind it.
 */
const WAITING = new Set(
  "blpop brpop brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop xread xreadgroup wait waitaof script|kill function|kill".split(" "),
);

/** Those of them that wait until replicas, or the disk, have what their connection has written: on another one that is nothing. */
const FOR_WRITES = new Set(["wait", "waitaof"]);

/**
 * Commands whose replies are no replies: a stream of commands (MONITOR), a replication stream, or a protocol other than
 * RESP2 (HELLO, refused in the guide's system too).
 */
const NOT_OFFERED = new Set(["hello", "monitor", "sync", "psync", "replconf", "client|reply", "client|tracking"]);

/**
 * Standalone mode: one server answers everything, so no keys are read; only what concerns the session or its connection
 * is told apart.
 *
 * @param own whether the session already has a connection of its own
 */
export function planStandalone(request: Request, profile: Profile, own: boolean): StandalonePlan {
  const name = argumentWord(request, 0);
  const sub = request.argc > 1 ? `${name}|${argumentWord(request, 1)}` : name;
  const session = SESSION_PLANS.get(name);
  if (session !== undefined) return session;
  if (NOT_OFFERED.has(name) || NOT_OFFERED.has(sub)) return refusal(profile);
  if (["subscribe", "psubscribe", "ssubscribe"].includes(name) && request.argc > 1) return { kind: "subscribe" };
  if (["unsubscribe", "punsubscribe", "sunsubscribe"].includes(name)) {
    return { kind: "answer", reply: notSubscribed(request, name), refused: false };
  }
  if (!own && sub !== SAID_OF_ANY && (STATEFUL.has(name) || STATEFUL.has(sub))) return { kind: "own" };
  if (!own && FOR_WRITES.has(name)) return { kind: "wait", slot: undefined, forWrites: true };
  if (WAITING.has(name) || WAITING.has(sub)) return { kind: "wait", slot: undefined };
  return { kind: "forward", slot: undefined, readonly: false };
}
