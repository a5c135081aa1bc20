import type { HostPort } from "../config.ts";
import type { LoadedConfig } from "../server/door.ts";
import type { MetricFamily } from "../server/metrics.ts";
import type { ServingStatus, SessionSummary } from "../server/serving.ts";
import type { SessionDetail } from "../server/session-state.ts";

/** What a worker needs before it serves. Secrets travel in memory only, by the channel between the two processes. */
export interface WorkerStart {
  readonly loaded: LoadedConfig;
  /** SHA-256 of the primary's program: a worker of another program would not understand it. */
  readonly program: string;
  readonly ticketSecret: Buffer;
  /** Names of databases that must be reached before it serves. */
  readonly reached: readonly string[];
}

/** What the primary asks a worker, or tells it. */
// A type, not an interface: only types fit an index signature.
export type WorkerCalls = {
  /** Makes all that it takes to serve. */
  readonly start: { readonly argument: WorkerStart; readonly result: unknown };
  /** Makes what another configuration needs; nothing changes yet. */
  readonly prepare: { readonly argument: LoadedConfig; readonly result: unknown };
  /** Takes over what was prepared last. */
  readonly apply: { readonly argument: undefined; readonly result: unknown };
  /** Forgets what was prepared last. */
  readonly discard: { readonly argument: undefined; readonly result: unknown };
  /** Comes with a client's socket, and says which address it came to. */
  readonly client: { readonly argument: HostPort; readonly result: unknown };
  readonly ticketSecret: { readonly argument: Buffer; readonly result: unknown };
  /** Lets clients finish; answered when the last has left and the audit is written. */
  readonly drain: { readonly argument: undefined; readonly result: unknown };
  readonly status: { readonly argument: undefined; readonly result: ServingStatus };
  readonly sessions: { readonly argument: undefined; readonly result: SessionSummary[] };
  readonly session: { readonly argument: number; readonly result: (SessionSummary & SessionDetail) | undefined };
  readonly families: { readonly argument: undefined; readonly result: MetricFamily[] };
};

/** What a worker asks the primary, or tells it. */
export type PrimaryCalls = {
  /** Takes a seat, as `Seats` has them. */
  readonly seat: { readonly argument: undefined; readonly result: number | undefined };
  /** Gives so many seats back. */
  readonly seatsLeft: { readonly argument: number; readonly result: unknown };
  /** So many of the sockets that it was handed have arrived, and so many have closed, since it told last. */
  readonly sockets: { readonly argument: { readonly arrived: number; readonly closed: number }; readonly result: unknown };
  /** It was asked to end, by a signal of its own: no further client is for it. */
  readonly leaving: { readonly argument: undefined; readonly result: unknown };
};
