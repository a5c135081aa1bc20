import { encodeArray, encodeCommand, encodeError } from "../resp/encoder.ts";
import type { Request } from "../resp/request-parser.ts";
import type { CommandEntry, CommandTable } from "./command-table.ts";
import { argument, argumentSpells, argumentWord, entryOf, firstKeyIndex } from "./keys.ts";
import type { Merge } from "./merge.ts";
import { mergeOfPolicy } from "./merge.ts";
import type { Profile } from "./profile.ts";
import { slotOf } from "./slot.ts";

/** What is to be done for one request. Plain data: nothing is sent, and nothing but the request and the tables is read. */
export type Plan =
  /**
   * To the owner of `slot`, on the connection that sessions share; without a slot, to whichever shard the session calls its own.
   * `countsSubscribers`: not before those who are about to subscribe have.
   */
  | { readonly kind: "forward"; readonly slot: number | undefined; readonly readonly: boolean; readonly countsSubscribers?: boolean }
  /** The same on a connection of its own while it lasts: the command may wait. `forWrites`: for those of its connection to have got on. */
  | { readonly kind: "wait"; readonly slot: number | undefined; readonly forWrites?: boolean }
  /**
   * To every master; `frame` is what is sent in place of the request, where that differs. `exclusive`: on connections of
   * their own, because the replies are large, or because the shared ones may be held up by the very thing it is to end.
   */
  | { readonly kind: "everyMaster"; readonly merge: Merge; readonly readonly: boolean; readonly exclusive: boolean; readonly frame?: Buffer }
  /** One GET a key, to the keys' owners; merged in the order asked. */
  | { readonly kind: "gets" }
  /** Answered here. `refused` says that it is a denial, for the audit. */
  | { readonly kind: "answer"; readonly reply: Buffer; readonly refused: boolean }
  /** What concerns the session itself. */
  | { readonly kind: "session"; readonly what: "authenticate" | "quit" | "reset" | "hangUp" }
  /** Begins a time with subscriptions, on a connection of its own. */
  | { readonly kind: "subscribe" }
  /** A name the table does not hold: the server is asked about it before it goes anywhere. */
  | { readonly kind: "unknown" };

const EXCLUSIVE = new Set(["keys", "function|kill"]);
/** Of XREADGROUP: a group's, and a consumer's. */
const NAMES_BEHIND_GROUP = 2;

/**
 * Whose owner all subscriptions and messages go to. Any node would do for messages, as the bus carries them to all others (Redis
 * Cluster specification, "Pub/Sub"). But PUBLISH and PUBSUB count the subscribers of their own node only: with all of them there,
 * they answer what one Redis server would.
 */
export const PUBSUB_SLOT = 0;
const PUBSUB = new Set(["publish", "pubsub"]);

/**
 * Commands about the session itself, by name. `POST` and `Host:` are no commands but the beginning of what a web page can make
 * a browser send: Redis closes the connection at them (redis `server.c`, `securityWarningCommand`), so they must never get to
 * one that others share.
 */
export const SESSION_PLANS: ReadonlyMap<string, Plan> = new Map([
  ["auth", { kind: "session", what: "authenticate" }],
  ["quit", { kind: "session", what: "quit" }],
  ["reset", { kind: "session", what: "reset" }],
  ["post", { kind: "session", what: "hangUp" }],
  ["host:", { kind: "session", what: "hangUp" }],
]);

/** Cluster mode: the plan for `request` under `profile`, by what the server says of its commands. */
export function planCluster(request: Request, table: CommandTable, profile: Profile): Plan {
  const entry = entryOf(table, request);
  const name = entry?.name ?? argumentWord(request, 0);
  const session = SESSION_PLANS.get(name);
  if (session !== undefined) return session;
  if (profile.refused.has(name)) return refusal(profile);
  if (name === "subscribe" && request.argc > 1) return { kind: "subscribe" };
  if (name === "unsubscribe") return { kind: "answer", reply: notSubscribed(request, name), refused: false };
  if (entry === undefined) return { kind: "unknown" };
  const sub = subcommandOf(entry, request);
  if (sub !== undefined && profile.refused.has(`${name}|${sub}`)) return refusal(profile);
  return planRouted(request, entry, entry.subcommands.get(sub ?? "") ?? entry, profile, sub);
}

function planRouted(request: Request, container: CommandEntry, entry: CommandEntry, profile: Profile, sub: string | undefined): Plan {
  const anywhere: Plan = { kind: "forward", slot: undefined, readonly: entry.readonly };
  if (!fitsArity(entry, request.argc)) return anywhere;
  const name = sub === undefined ? container.name : `${container.name}|${sub}`;
  if (name === "ping") return { ...anywhere, readonly: true };
  if (name === "mget") return { kind: "gets" };
  const everyMaster = profile.everyMaster.get(name) ?? policyMerge(entry);
  if (everyMaster !== undefined) {
    const frame = name === "script|flush" && argumentIsAsync(request) ? encodeCommand(["SCRIPT", "FLUSH"]) : undefined;
    return { kind: "everyMaster", merge: everyMaster, readonly: entry.readonly, exclusive: EXCLUSIVE.has(name), ...(frame && { frame }) };
  }
  if (PUBSUB.has(container.name)) return { kind: "forward", slot: PUBSUB_SLOT, readonly: entry.readonly, countsSubscribers: true };
  const key = firstKeyIndex(entry, request);
  const slot = key === 0 ? undefined : slotOfArgument(request, key);
  return entry.blocking && mayWait(entry, request) ? { kind: "wait", slot } : { kind: "forward", slot, readonly: entry.readonly };
}

/** Keyless commands that the server's tips send to all shards, with a rule that says what becomes of the replies. */
function policyMerge(entry: CommandEntry): Merge | undefined {
  if (entry.keySpecs.length > 0 || entry.responsePolicy === "") return undefined;
  const everywhere = entry.requestPolicy === "all_shards" || entry.requestPolicy === "all_nodes";
  return everywhere ? mergeOfPolicy(entry.responsePolicy) : undefined;
}

/** Stream reads have the flag `blocking` but wait only where BLOCK says so. The names behind GROUP may be any, `streams` among them. */
function mayWait(entry: CommandEntry, request: Request): boolean {
  if (entry.name !== "xread" && entry.name !== "xreadgroup") return true;
  for (let i = 1; i < request.argc && !argumentSpells(request, i, "streams"); i++) {
    if (argumentSpells(request, i, "block")) return true;
    if (argumentSpells(request, i, "group")) i += NAMES_BEHIND_GROUP;
  }
  return false;
}

function subcommandOf(entry: CommandEntry, request: Request): string | undefined {
  if (request.argc < 2 || (entry.subcommands.size === 0 && entry.name !== "script")) return undefined;
  return argumentWord(request, 1);
}

/** Whether Redis itself would take so many arguments; if not, its own error text is wanted, which any node gives. */
export function fitsArity(entry: CommandEntry, argc: number): boolean {
  return entry.arity >= 0 ? argc === entry.arity : argc >= -entry.arity;
}

function argumentIsAsync(request: Request): boolean {
  return request.argc === 3 && argumentSpells(request, 2, "async");
}

/** The hash slot of argument `index`. */
export function slotOfArgument(request: Request, index: number): number {
  const { frame, start, offsets } = request;
  return slotOf(frame, start + offsets[2 * index]!, start + offsets[2 * index + 1]!);
}

/** The answer to a command that the profile does not offer. */
export function refusal(profile: Profile): Plan {
  return { kind: "answer", reply: encodeError(`${profile.errorPrefix}command not supported`), refused: true };
}

/** Commands that Redis takes from a client that has subscriptions (RESP2; Redis documentation, "Pub/Sub"). */
const WHILE_SUBSCRIBED = new Set(["ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"]);

/**
 * Redis's answer to a command that does not belong into a connection with subscriptions; undefined where the request is to be
 * sent to Redis, which takes it, or finds another fault in it first. A node would rather tell of a key that is not its own.
 */
export function refusedWhileSubscribed(request: Request, table: CommandTable): Buffer | undefined {
  const container = entryOf(table, request);
  if (container === undefined || WHILE_SUBSCRIBED.has(container.name)) return undefined;
  const entry = container.subcommands.get(subcommandOf(container, request) ?? "") ?? container;
  if (!fitsArity(entry, request.argc)) return undefined;
  const allowed = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
  return encodeError(`ERR Can't execute '${entry.name}': ${allowed}`);
}

/**
 * What Redis answers to UNSUBSCRIBE and its like where there is no subscription: one message a channel, or one of nil.
 *
 * @param name the command's, in lower case
 */
export function notSubscribed(request: Request, name: string): Buffer {
  const channels = Array.from({ length: request.argc - 1 }, (_, i) => argument(request, i + 1));
  const bulks = channels.length === 0 ? ["$-1\r\n"] : channels.map((channel) => `$${channel.length}\r\n${channel.toString("latin1")}\r\n`);
  const head = Buffer.from(`$${name.length}\r\n${name}\r\n`);
  return Buffer.concat(bulks.map((bulk) => encodeArray([head, Buffer.from(bulk, "latin1"), Buffer.from(":0\r\n")])));
}
