import type { AuditLog } from "../access/audit.ts";
import type { Identity } from "../access/identity.ts";
import type { Database } from "../cluster/database.ts";
import type { Exchange } from "../cluster/exchange.ts";
import { RequestParser } from "../resp/request-parser.ts";
import type { Request } from "../resp/request-parser.ts";
import type { CommandEntry, CommandTable } from "../routing/command-table.ts";
import { argument, entryOf, keyIndexes } from "../routing/keys.ts";
import type { Logger } from "./log.ts";
import type { Totals } from "./proxy.ts";
import type { SessionObserver } from "./session-options.ts";

/** Keys of one command that are written; the audit says how many more there were. */
const MOST_KEYS = 64;
/** Names that no server knows may be anything, a mistyped password among them: no more of them is written than this. */
const UNKNOWN_NAME = "(unknown command)";
/** The client left before the reply: whether the command was executed, nobody waited to hear. */
const UNANSWERED = "unanswered";
/** The bounds were checked when the request was taken; here they only must not be in the way. */
const ANY = { maxBulkBytes: Number.MAX_SAFE_INTEGER, maxArguments: Number.MAX_SAFE_INTEGER, maxInlineBytes: Number.MAX_SAFE_INTEGER };

/** Whose session it is, and who is to hear of it. */
export interface ObserverOptions {
  readonly id: number;
  readonly identity: Identity;
  readonly remote: string;
  readonly database: Database;
  readonly audit: AuditLog | undefined;
  readonly commands: "all" | "denied" | "none";
  readonly totals: Totals;
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
      totals.errors += exchange.failures?.length ?? 0;
      if (audit !== undefined && options.commands === "all") writeCommands(audit, id, exchange, database.table);
    },
    refused(request) {
      denied++;
      totals.denied++;
      if (options.commands !== "denied") return;
      const [name, keys] = described(request, database.table);
      audit?.command(id, name, keys, "denied", 0);
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

function writeCommands(audit: AuditLog, id: number, exchange: Exchange, table: CommandTable): void {
  if (exchange.end === exchange.start) return;
  const micros = Math.round((performance.now() - exchange.startedAt) * 1_000);
  const parser = new RequestParser(ANY);
  parser.push(exchange.bytes.subarray(exchange.start, exchange.end));
  for (let i = 0; i < exchange.count && parser.next(); i++) {
    const failure = exchange.failures?.find(({ index }) => index === i);
    const [name, keys] = described(parser, table);
    const outcome = i >= exchange.answered ? UNANSWERED : exchange.refused ? "denied" : (failure?.word ?? "ok");
    if (name !== "auth") audit.command(id, name, keys, outcome, micros);
  }
}

/** A command's name as the audit has it (`container|sub`), and its keys. */
function described(request: Request, table: CommandTable): [name: string, keys: Buffer[]] {
  const entry = entryOf(table, request);
  if (entry === undefined) return [UNKNOWN_NAME, []];
  const sub = subcommand(entry, request);
  const keys = keyIndexes(sub ?? entry, request, MOST_KEYS).map((index) => argument(request, index));
  return [(sub ?? entry).name, keys];
}

function subcommand(entry: CommandEntry, request: Request): CommandEntry | undefined {
  if (entry.subcommands.size === 0 || request.argc < 2) return undefined;
  return entry.subcommands.get(argument(request, 1).toString("latin1").toLowerCase());
}
