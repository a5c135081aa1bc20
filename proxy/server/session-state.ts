import type { Exchange } from "../cluster/exchange.ts";
import { FrameReader } from "../resp/frame-reader.ts";
import type { UserConnections } from "../cluster/user-connections.ts";
import type { CommandTable } from "../routing/command-table.ts";
import { addressKey } from "../routing/topology.ts";
import type { CommandPerformer } from "./command-performer.ts";
import type { SessionDeliveries } from "./session-deliveries.ts";
import { commandOf, UNKNOWN_NAME } from "./session-audit.ts";

/** Requests of a session that are listed; of more, the oldest are. */
const MOST_REQUESTS = 100;

/** Why a session takes no further request just now. */
export type Pause =
  | "the client does not read its replies"
  | "a command waits in Redis"
  | "a login is checked"
  | "requests are sent one by one"
  | "requests before it are to be answered"
  | "the audit does not keep up"
  | "as many requests as it may have are under way"
  | "requests under way were sent by an older topology"
  | "it ends when it is owed nothing more";

/** How a session stands: numbers and names of the proxy's own, never a key, a value or a message of the client's. */
export interface SessionState {
  readonly redisUser: string | undefined;
  /** Requests that it was not answered yet. */
  readonly requests: number;
  /** Bytes of requests that were read and not answered; bytes of replies that wait for those before them; bytes that the client has not read. */
  readonly bytes: { readonly in: number; readonly held: number; readonly out: number };
  readonly pausedFor: readonly Pause[];
}

/** One request that is owed an answer, the oldest first. */
export interface RequestState {
  /** Its name as the audit has it; of one that no server knows nothing is told. */
  readonly command: string;
  /** Where it waits; absent where the proxy itself has yet to send or to answer it. */
  readonly node?: string;
  readonly ms: number;
}

/** A connection that only this session has. */
export interface OwnConnection {
  readonly node: string;
  readonly why: "subscription" | "a command that waits" | "state that the session left in it" | "a request that is sent by itself";
}

/** All that can be seen of a session. */
export interface SessionDetail extends SessionState {
  /** The first hundred. */
  readonly queue: readonly RequestState[];
  readonly connections: readonly OwnConnection[];
}

const reader = new FrameReader();

/** All that can be seen of a session. Goes through all that its Redis user has under way. */
export function detailOf(
  state: SessionState,
  owed: Iterable<Exchange>,
  users: UserConnections | undefined,
  { own, subscription, waiting }: Pick<CommandPerformer, "own" | "subscription" | "waiting">,
  deliveries: SessionDeliveries,
  table: CommandTable,
): SessionDetail {
  const now = performance.now();
  const nodes = new Map<Exchange, string>();
  for (const connection of users?.all() ?? []) for (const exchange of connection.underWay()) nodes.set(exchange, addressKey(connection.address));
  const subscribed = subscription === undefined ? [] : requestStates(subscription.owed(), table, () => addressKey(subscription.node), now);
  const connections: OwnConnection[] = [];
  if (own !== undefined) connections.push({ node: addressKey(own.address), why: "state that the session left in it" });
  if (subscription !== undefined) connections.push({ node: addressKey(subscription.node), why: "subscription" });
  for (const node of deliveries.lentNodes()) connections.push({ node: addressKey(node), why: waiting ? "a command that waits" : "a request that is sent by itself" });
  return { ...state, queue: [...requestStates(owed, table, (exchange) => nodes.get(exchange), now), ...subscribed], connections };
}

/**
 * The requests of exchanges that are still owed an answer.
 *
 * @param nodeOf where an exchange waits
 * @param now in milliseconds of the monotonic clock
 */
function requestStates(exchanges: Iterable<Exchange>, table: CommandTable, nodeOf: (exchange: Exchange) => string | undefined, now: number): RequestState[] {
  const states: RequestState[] = [];
  for (const exchange of exchanges) {
    if (exchange.end === exchange.start) continue;
    const node = nodeOf(exchange);
    const ms = Math.round(now - exchange.startedAt);
    let next = exchange.start;
    for (let i = 0; i < exchange.count; i++) {
      next = reader.read(exchange.bytes, next);
      if (i < exchange.answered) continue;
      if (states.length === MOST_REQUESTS) return states;
      states.push({ command: commandOf(reader, table)?.name ?? UNKNOWN_NAME, ...(node !== undefined && { node }), ms });
    }
  }
  return states;
}
