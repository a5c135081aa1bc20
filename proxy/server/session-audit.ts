import type { AuditLog, KeyRanges } from "../access/audit.ts";
import type { Identity } from "../access/identity.ts";
import type { Database } from "../cluster/database.ts";
import type { Exchange } from "../cluster/exchange.ts";
import { EMPTY } from "../resp/bytes.ts";
import { FrameReader } from "../resp/frame-reader.ts";
import type { Request } from "../resp/request-parser.ts";
import type { CommandEntry, CommandTable } from "../routing/command-table.ts";
import { argumentWord, entryOf, keyIndexes } from "../routing/keys.ts";
import type { CommandStats } from "./command-stats.ts";
import type { Logger } from "./log.ts";
import type { SessionObserver } from "./session-options.ts";
import type { SlowLog } from "./slow-log.ts";
import type { Totals } from "./totals.ts";

/** Names that no server knows may be anything, a mistyped password among them: no more of them is written than this. */
export const UNKNOWN_NAME = "(unknown command)";
/** The client left before the reply: whether the command was executed, nobody waited to hear. */
const UNANSWERED = "unanswered";
/** Whose session it is, and who is to hear of it. */
export interface ObserverOptions {
  readonly id: number;
  readonly identity: Identity;
  readonly remote: string;
  readonly database: Database;
  readonly audit: AuditLog | undefined;
  readonly commands: "all" | "denied" | "none";
  readonly totals: Totals;
  readonly stats: CommandStats;
  readonly slowLog: SlowLog;
  /** Milliseconds; 0 for none. */
  readonly slowCommandMs: number;
  readonly log: Logger;
}

/** Counts what a session does and writes it to the audit: names and keys, never values; after the replies, never before. */
export function sessionObserver(options: ObserverOptions): SessionObserver & { ended(): void } {
  const { id, identity, audit, totals, log, database } = options;
  let commands = 0;
  let denied = 0;
  let reason = "closed";
  audit?.sessionStart({ id, user: identity.user, roles: identity.roles, remote: options.remote, database: database.name });
  return {
    accepting: () => audit?.accepting ?? true,
    onceCaughtUp(callback) {
      if (audit?.behind !== true) return false;
      audit.onceNotBehind(callback);
      return true;
    },
    exchangeDone(exchange) {
      commands += exchange.count;
      totals.commands += exchange.count;
      book(options, exchange);
    },
    refused(request) {
      denied++;
      totals.denied++;
      if (options.commands !== "denied") return;
      const entry = commandOf(request, database.table);
      audit?.command(id, entry?.name ?? UNKNOWN_NAME, keysOf(request, entry), "denied", 0);
    },
    authentication(redisUser, ok) {
      audit?.authentication(id, redisUser, ok);
    },
    dropped(why) {
      reason = why;
      totals.dropped++;
      log.warn("session dropped", { session: id, user: identity.user, reason: why });
    },
    ended() {
      audit?.sessionEnd(id, reason, { commands, denied });
    },
  };
}

const reader = new FrameReader();

/** Counts the commands of an exchange, and writes them where all are to be audited. */
function book(options: ObserverOptions, exchange: Exchange): void {
  if (exchange.end === exchange.start) return;
  const { stats, database, id, totals, slowCommandMs } = options;
  const audit = options.commands === "all" ? options.audit : undefined;
  const now = exchange.answeredAt > 0 ? exchange.answeredAt : performance.now();
  const ms = now - exchange.startedAt;
  if (exchange.failures !== undefined) {
    for (const { word } of exchange.failures) {
      totals.errors++;
      stats.bookError(word);
    }
  }
  let next = exchange.start;
  for (let i = 0; i < exchange.count; i++) {
    next = reader.read(exchange.bytes, next);
    const entry = commandOf(reader, database.table);
    const name = entry?.name ?? UNKNOWN_NAME;
    stats.book(name, ms);
    if (i === 0 && slowCommandMs > 0 && ms >= slowCommandMs && entry?.blocking !== true) tellSlow(options, exchange, name, now);
    if (name !== "auth") audit?.command(id, name, keysOf(reader, entry), outcomeOf(exchange, i), ms * 1_000, now);
  }
}

function tellSlow({ slowLog, id, identity, database }: ObserverOptions, exchange: Exchange, command: string, now: number): void {
  slowLog.write(
    { session: id, user: identity.user, database: database.name, command, ...(exchange.count > 1 && { commands: exchange.count }), ms: Math.round(now - exchange.startedAt) },
    now,
  );
}

function outcomeOf(exchange: Exchange, index: number): string {
  if (index >= exchange.answered) return UNANSWERED;
  if (exchange.refused) return "denied";
  return exchange.failures?.find((failure) => failure.index === index)?.word ?? "ok";
}

/** The command that a request is, as the audit names it: of a container, the subcommand. */
export function commandOf(request: Request, table: CommandTable): CommandEntry | undefined {
  const entry = entryOf(table, request);
  if (entry === undefined || entry.subcommands.size === 0 || request.argc < 2) return entry;
  return entry.subcommands.get(argumentWord(request, 1)) ?? entry;
}

/** One for all, as the audit keeps nothing of it: this is called for every command. */
const keys: { bytes: Buffer; ranges: number[]; count: number } = { bytes: EMPTY, ranges: [], count: 0 };

function keysOf(request: Request, entry: CommandEntry | undefined): KeyRanges {
  const { frame, start, offsets } = request;
  keys.bytes = frame;
  keys.count = 0;
  if (entry === undefined) return keys;
  if (entry.oneKey) {
    if (entry.firstKey < request.argc) addKey(start + offsets[2 * entry.firstKey]!, start + offsets[2 * entry.firstKey + 1]!);
    return keys;
  }
  for (const index of keyIndexes(entry, request)) addKey(start + offsets[2 * index]!, start + offsets[2 * index + 1]!);
  return keys;
}

function addKey(from: number, to: number): void {
  keys.ranges[2 * keys.count] = from;
  keys.ranges[2 * keys.count + 1] = to;
  keys.count++;
}
