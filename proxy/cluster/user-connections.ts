import { encodeCommand } from "../resp/encoder.ts";
import type { Address, Topology } from "../routing/topology.ts";
import { addressKey, ownerOf } from "../routing/topology.ts";
import { loginVerdict } from "./login-reply.ts";
import type { LatencyHistogram } from "./latency-histogram.ts";
import { UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamOptions } from "./upstream-connection.ts";
import type { UpstreamError } from "./upstream-error.ts";

/** Idle connections of their own that are kept for the next blocking command, for each node. */
const KEPT_IDLE = 4;
/** After a failed attempt a node is left alone so long, doubled with each further failure. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** What one Redis user is known by, and what its connections log in with. */
export interface Credentials {
  readonly user: string;
  /** The arguments of AUTH as the client gave them. */
  readonly auth: readonly Buffer[];
}

/** What becomes of a user's connections. */
export interface UserEvents {
  /** A connection ended that the proxy did not close itself. */
  readonly onFailure: (address: Address, reason: UpstreamError) => void;
  /** Redis does not let the user in any more: all connections are closed, and no other is opened. Called once. */
  readonly onRefused: () => void;
}

interface Failure {
  readonly count: number;
  readonly until: number;
  readonly reason: UpstreamError;
}

/**
 * The connections of one Redis user to the nodes of one database, shared by all sessions of that user: one pipelined
 * connection a node, and connections lent out for commands that wait or leave state behind.
 */
export class UserConnections {
  readonly user: string;
  /** Set once Redis refuses this user's login: the password was changed, or the user removed. */
  refused: UpstreamError | undefined;

  readonly #options: Omit<UpstreamOptions, "address" | "onEnd" | "latency">;
  readonly #latencyOf: (node: string) => LatencyHistogram;
  readonly #events: UserEvents;
  #topology: Topology;
  /** The shared connections by index of the master in the topology: what the fast path reads. */
  #byOwner: (UpstreamConnection | undefined)[] = [];
  readonly #shared = new Map<string, UpstreamConnection>();
  readonly #lent = new Set<UpstreamConnection>();
  readonly #idle = new Map<string, UpstreamConnection[]>();
  readonly #failures = new Map<string, Failure>();

  /**
   * @param options `latencyOf` gives the histogram of a node, by its `addressKey`: what waits in Redis by design is not booked
   */
  constructor(
    credentials: Credentials,
    topology: Topology,
    { latencyOf, ...options }: Omit<UpstreamOptions, "address" | "onEnd" | "auth" | "latency"> & { readonly latencyOf: (node: string) => LatencyHistogram },
    events: UserEvents,
  ) {
    this.user = credentials.user;
    this.#options = { ...options, auth: credentials.auth };
    this.#latencyOf = latencyOf;
    this.#topology = topology;
    this.#events = events;
  }

  /** The topology by which slots are looked up. */
  get topology(): Topology {
    return this.#topology;
  }

  set topology(topology: Topology) {
    this.#topology = topology;
    this.#byOwner = [];
  }

  /** The login that all its connections begin with, as a request. */
  get login(): Buffer {
    return encodeCommand(["AUTH", ...(this.#options.auth ?? [])]);
  }

  /** Connections open now, of both kinds. */
  get size(): number {
    return this.#shared.size + this.#lent.size + [...this.#idle.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** Whether somebody has a connection for itself. */
  get lends(): boolean {
    return this.#lent.size > 0;
  }

  /** The shared connection to the owner of `slot`; undefined where nobody owns it or the owner cannot be reached just now. */
  forSlot(slot: number): UpstreamConnection | undefined {
    const owner = this.#topology.owners[slot]!;
    const connection = this.#byOwner[owner];
    if (connection?.closed === false) return connection;
    return owner < 0 ? undefined : (this.#byOwner[owner] = this.to(this.#topology.masters[owner]!));
  }

  /** The shared connection to the node at `address`; undefined while the node is left alone after a failure. */
  to(address: Address): UpstreamConnection | undefined {
    const key = addressKey(address);
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const opened = this.#open(address, () => this.#shared.delete(key), this.#latencyOf(key));
    if (opened !== undefined) this.#shared.set(key, opened);
    return opened;
  }

  /** Why there is no connection to the node at `address` just now. */
  obstacleTo(address: Address): Error {
    const key = addressKey(address);
    return this.refused ?? new Error(`${this.#failures.get(key)?.reason.message ?? `${key}: no connection`}; left alone for a moment after that`);
  }

  /** Lends a connection to `address` that nobody else uses; it must be given back, or closed. */
  lend(address: Address): UpstreamConnection | undefined {
    const idle = this.#idle.get(addressKey(address)) ?? [];
    let connection = idle.pop();
    connection ??= this.#open(address, (ended) => {
      this.#lent.delete(ended);
      this.#dropIdle(ended);
    });
    if (connection !== undefined) this.#lent.add(connection);
    return connection;
  }

  /** The master that owns `slot`, if one does. */
  ownerOf(slot: number): Address | undefined {
    return ownerOf(this.#topology, slot);
  }

  /** As `lend`, to the owner of `slot`. */
  lendForSlot(slot: number): UpstreamConnection | undefined {
    const owner = this.ownerOf(slot);
    return owner === undefined ? undefined : this.lend(owner);
  }

  /** Takes a lent connection back. One that still owes replies, or of which enough lie idle, is closed. */
  giveBack(connection: UpstreamConnection): void {
    this.#lent.delete(connection);
    if (connection.closed) return;
    const key = addressKey(connection.address);
    const idle = this.#idle.get(key) ?? [];
    if (!connection.idle || idle.length >= KEPT_IDLE) connection.close();
    else idle.push(connection);
    this.#idle.set(key, idle);
  }

  #dropIdle(ended: UpstreamConnection): void {
    const idle = this.#idle.get(addressKey(ended.address));
    const index = idle?.indexOf(ended) ?? -1;
    if (index >= 0) idle!.splice(index, 1);
  }

  /** All open connections. */
  *all(): Iterable<UpstreamConnection> {
    yield* this.#shared.values();
    yield* this.#lent;
    for (const list of this.#idle.values()) yield* list;
  }

  /** Closes all connections for good: Redis does not let the user in any more, for this `reason`. */
  refuse(reason: UpstreamError): void {
    if (this.refused !== undefined) return;
    this.refused = reason;
    this.close("its user may not log in any more");
    this.#events.onRefused();
  }

  close(why: string): void {
    for (const connection of [...this.all()]) connection.close(why);
    this.#idle.clear();
  }

  #open(address: Address, onEnd: (connection: UpstreamConnection) => unknown, latency?: LatencyHistogram): UpstreamConnection | undefined {
    const key = addressKey(address);
    const failure = this.#failures.get(key);
    if (this.refused !== undefined || (failure !== undefined && performance.now() < failure.until)) return undefined;
    return new UpstreamConnection({
      ...this.#options,
      address,
      latency,
      onEnd: (connection, reason) => {
        onEnd(connection);
        if (reason.code === "UPSTREAM_CLOSED") return;
        if (reason.code === "UPSTREAM_AUTHENTICATION") this.#loginFailed(reason);
        // What broke a working connection may be over; a node that takes none, or no login, or speaks no RESP is not to be stormed.
        if (reason.code === "UPSTREAM_LOST") this.#failures.delete(key);
        else this.#pause(key, reason);
        this.#events.onFailure(address, reason);
      },
    });
  }

  /** Only these words say that the user may not log in; any other answer (LOADING, a limit on clients) may pass. */
  #loginFailed(reason: UpstreamError): void {
    if (loginVerdict(reason.reply ?? "") === "refused") this.refuse(reason);
  }

  #pause(key: string, reason: UpstreamError): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (count - 1), LONGEST_PAUSE_MS);
    this.#failures.set(key, { count, until: performance.now() + pause, reason });
  }
}
