import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { encodeError } from "../resp/encoder.ts";
import type { ReplyValue } from "../resp/reply-decoder.ts";
import { CommandTable, parseCommandReply } from "../routing/command-table.ts";
import type { Profile } from "../routing/profile.ts";
import type { Address, Shard, Topology } from "../routing/topology.ts";
import { addressKey } from "../routing/topology.ts";
import { retryDelay } from "./delivery.ts";
import type { DeliveryContext } from "./delivery.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import { LiveTopology } from "./live-topology.ts";
import { LoginCheck } from "./login-check.ts";
import type { LoginAnswer } from "./login-check.ts";
import { Outages } from "./outages.ts";
import { Pending } from "./pending.ts";
import { askValue } from "./question.ts";
import { SilenceWatch } from "./silence-watch.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamError } from "./upstream-error.ts";
import { UserConnections } from "./user-connections.ts";
import type { Credentials, UserEvents } from "./user-connections.ts";
import { Users } from "./users.ts";
import type { Lease } from "./users.ts";

/** How often connections without progress are looked at. */
const WATCH_MS = 500;
/** A database that could not be reached at the start is tried again after so long. */
const PREPARE_PAUSE_MS = 500;
/** For so long after a redirection more of them are expected: redis-cli moves slots one after the other. */
const UNSETTLED_MS = 10_000;
/** How long one master may take to tell of its commands before the next is asked. */
const COMMAND_TIMEOUT_MS = 3_000;

/** What a database is made of. */
export interface DatabaseOptions {
  readonly name: string;
  readonly mode: "cluster" | "standalone";
  /** Where to begin; in standalone mode the first is the server. At least one. */
  readonly seeds: readonly Address[];
  readonly profile: Profile;
  readonly dial: (address: Address) => Socket;
  readonly connectTimeoutMs: number;
  readonly retryBudgetMs: number;
  readonly topologyRefreshMs: number;
  /** Who reads the topology and the commands; without one, users' own connections do. */
  readonly serviceUser?: Credentials | undefined;
  readonly log: (level: "info" | "warn", message: string, fields: Record<string, unknown>) => void;
}

/** What AUTH came to: the use of the user's connections, or the error line for the client. */
export type Login = Lease | { readonly error: Buffer };

/** One database behind the proxy: its topology, its commands, and all connections to its nodes. */
export class Database {
  /**
   * Until when slots count as being on the move, in milliseconds of the monotonic clock. Meanwhile a command of several keys may
   * be answered with TRYAGAIN, and what its client has sent behind it would overtake it.
   */
  unsettledUntil = 0;
  /** What the server says of its commands; empty until it was read. */
  table = new CommandTable();
  /** Redirections, surveys and logins seen, for the metrics. */
  readonly counters = { moved: 0, refreshes: 0, refreshFailures: 0, logins: 0, loginFailures: 0 };

  /** How long the nodes take to answer, by their `addressKey`. */
  readonly nodeLatencies = new Map<string, LatencyHistogram>();

  /** Subscriptions that clients have asked for, and Redis has yet to confirm. Each first needs a connection of its own. */
  readonly subscribing = new Pending();

  readonly #options: DatabaseOptions;
  readonly #users: Users;
  readonly #live: LiveTopology;
  readonly #logins: LoginCheck;
  readonly #silence: SilenceWatch;
  readonly #outages = new Outages();
  #control: UserConnections | undefined;
  #preparing: Promise<void> | undefined;
  #prepared = false;
  #obstacle = "no try has come to an end";
  #closed = false;
  readonly #timers: NodeJS.Timeout[] = [];
  #nextAttempt: NodeJS.Timeout | undefined;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#logins = new LoginCheck(options);
    this.#users = new Users({
      open: (credentials, events) => this.#connectionsFor(credentials, events),
      check: ({ auth }) => this.#checkLogin(auth),
      lost: (address, reason) => {
        this.#lost(address, reason);
      },
    });
    this.#silence = new SilenceWatch({
      dial: options.dial,
      connections: () => this.#connections(),
      masters: () => new Set([...this.topology.masters, ...this.topology.guests].map(addressKey)),
      asker: () => this.#asker,
    });
    this.#live = new LiveTopology({
      ...options,
      counters: this.counters,
      asker: () => this.#asker,
      adopted: (topology) => {
        for (const connections of this.#users.connections()) connections.topology = topology;
        if (this.#control !== undefined) this.#control.topology = topology;
      },
    });
  }

  get name(): string {
    return this.#options.name;
  }

  get mode(): "cluster" | "standalone" {
    return this.#options.mode;
  }

  get profile(): Profile {
    return this.#options.profile;
  }

  get topology(): Topology {
    return this.#live.current;
  }

  /** As of LiveTopology. */
  get shards(): Shard[] {
    return this.#live.shards;
  }

  /** Counts the changes of the topology. */
  get epoch(): number {
    return this.#live.epoch;
  }

  /** Whether sessions can be served at once: the topology and the commands are known, or the first login will read them. */
  get ready(): boolean {
    return this.#prepared || this.#options.serviceUser === undefined;
  }

  /** Why it was not ready when that was last tried. */
  get obstacle(): string {
    return this.#obstacle;
  }

  /** Connections to nodes that are open now. */
  get connectionCount(): number {
    let count = this.#logins.open ? 1 : 0;
    for (const connections of this.#users.connections()) count += connections.size;
    return count + (this.#options.serviceUser === undefined ? 0 : (this.#control?.size ?? 0));
  }

  /** Begins to watch the database. Where it cannot be reached yet, that is tried again and again. */
  start(): void {
    const { serviceUser, topologyRefreshMs } = this.#options;
    if (serviceUser !== undefined) {
      this.#control = this.#connectionsFor(serviceUser, {
        onFailure: (address, reason) => {
          this.#lost(address, reason);
        },
        onRefused: () => undefined,
      });
      this.#prepareUntilDone();
    }
    this.#timers.push(
      setInterval(() => {
        this.refresh();
      }, topologyRefreshMs),
      setInterval(() => {
        this.#watch();
      }, WATCH_MS),
    );
  }

  /** Ends all connections. */
  close(): void {
    this.#closed = true;
    this.#live.close();
    this.#timers.forEach(clearInterval);
    clearTimeout(this.#nextAttempt);
    this.#logins.close();
    this.#control?.close("the proxy stops");
    for (const connections of this.#users.connections()) connections.close("the proxy stops");
  }

  /**
   * Has Redis check a login (`auth` are AUTH's arguments as the client gave them), and opens the door to the user's connections.
   * Where its servers are being restarted, it waits for one as long as any request does.
   *
   * @param revoked called at most once, after a login that was successful: Redis does not let the user in any more
   * @param wanted whether somebody waits for it still
   */
  async login(credentials: Credentials, revoked: () => void, wanted: () => boolean): Promise<Login> {
    const deadline = performance.now() + this.#options.retryBudgetMs;
    let answer = await this.#checkLogin(credentials.auth);
    for (let delays = 0; answer.verdict === "unsettled" && answer.starting && performance.now() < deadline; delays++) {
      await delay(retryDelay(delays));
      if (this.#closed || !wanted()) break;
      answer = await this.#checkLogin(credentials.auth);
    }
    if (answer.verdict !== "accepted") {
      this.counters.loginFailures++;
      if (answer.verdict === "refused") return { error: answer.reply };
      return { error: encodeError(`${this.profile.errorPrefix}no node of database ${this.name} can be reached: ${answer.reasons.join("; ")}`) };
    }
    const lease = this.#users.enter(credentials, revoked);
    try {
      await this.#prepare(lease.connections);
    } catch (error) {
      lease.end();
      return { error: encodeError(`${this.profile.errorPrefix}database ${this.name} is not ready: ${messageOf(error)}`) };
    }
    this.counters.logins++;
    return lease;
  }

  /** What a delivery for a session of `connections` needs. */
  deliveryContext(connections: UserConnections): DeliveryContext {
    return {
      connections,
      retryBudgetMs: this.#options.retryBudgetMs,
      errorPrefix: this.profile.errorPrefix,
      standalone: this.mode === "standalone",
      knows: (address) => this.#live.knows(address),
      unsettled: (to) => {
        this.unsettledUntil = performance.now() + UNSETTLED_MS;
        if (to !== undefined) this.#live.redirectedTo(to.slot, to);
      },
      moved: (slot, owner) => {
        this.#live.moved(slot, owner);
      },
      refresh: () => {
        this.refresh();
      },
    };
  }

  /** As of LiveTopology. */
  get unsurveyed(): Promise<void> | undefined {
    return this.#live.unsurveyed;
  }

  /** Reads the topology anew, soon: many calls make one survey. */
  refresh(): void {
    this.#live.refresh();
  }

  /**
   * Asks the server about a command name the table does not hold, and takes it into the table where the server knows it.
   * Where nobody can be asked, the table stays as it is.
   */
  async learnCommand(name: Buffer, connections: UserConnections): Promise<void> {
    try {
      const reply = await this.#askAnyMaster(this.#asker ?? connections, ["COMMAND", "INFO", name.toString("latin1")]);
      this.table.add(parseCommandReply(reply, this.profile.special));
    } catch (error) {
      this.#options.log("warn", "command not looked up", { database: this.name, error: messageOf(error) });
    }
  }

  /** Whether any of its masters answers now. */
  async answers(): Promise<boolean> {
    const asker = this.#asker;
    return asker !== undefined && this.#askAnyMaster(asker, ["COMMAND", "INFO", "get"]).then(() => true, () => false);
  }

  /**
   * Who asks about the cluster: the service user, or any client's. Sessions from before a rotation of the service user's password
   * stay, and this database with them, when the password that it was given is not accepted any more.
   */
  get #asker(): UserConnections | undefined {
    return this.#control === undefined || this.#control.refused !== undefined ? this.#anyUser() : this.#control;
  }

  /** Topology and commands, read once; later callers wait for the same reading. */
  async #prepare(connections: UserConnections): Promise<void> {
    if (this.#prepared) return;
    this.#preparing ??= this.#readAll(this.#control ?? connections).finally(() => {
      this.#preparing = undefined;
    });
    await this.#preparing;
  }

  async #readAll(control: UserConnections): Promise<void> {
    if (this.mode === "cluster") await this.#live.read(control);
    const entries = parseCommandReply(await this.#askAnyMaster(control, ["COMMAND"]), this.profile.special);
    this.table = new CommandTable(entries);
    this.#prepared = true;
    this.#options.log("info", "database ready", { database: this.name, commands: entries.length });
  }

  /**
   * Asks the masters, one after the other, what each of them knows.
   *
   * @throws Error with the reason of each, where none answers
   */
  async #askAnyMaster(control: UserConnections, command: readonly string[]): Promise<ReplyValue> {
    const reasons: string[] = [];
    for (const address of this.topology.masters) {
      const connection = control.to(address);
      if (connection === undefined && control.refused !== undefined) throw control.refused;
      try {
        if (connection === undefined) throw control.obstacleTo(address);
        return await askValue(connection, command, COMMAND_TIMEOUT_MS);
      } catch (error) {
        reasons.push(messageOf(error));
      }
    }
    throw new Error(`its nodes cannot be reached (${reasons.join("; ") || "none is known"})`);
  }

  #prepareUntilDone(): void {
    if (this.#closed || this.#control === undefined) return;
    this.#prepare(this.#control).catch((error: unknown) => {
      this.#obstacle = messageOf(error);
      this.#options.log("warn", "database not ready", { database: this.name, error: this.#obstacle });
      this.#nextAttempt = setTimeout(() => {
        this.#prepareUntilDone();
      }, PREPARE_PAUSE_MS);
    });
  }

  #checkLogin(auth: readonly Buffer[]): Promise<LoginAnswer> {
    return this.#logins.ask(auth, this.#live.addresses);
  }

  #connectionsFor(credentials: Credentials, events: UserEvents): UserConnections {
    const { dial, connectTimeoutMs } = this.#options;
    const onReady = (address: Address): void => {
      const node = addressKey(address);
      const age = this.#outages.reached(node, performance.now());
      if (age !== undefined) this.#options.log("info", "node takes connections again", { database: this.name, node, ...age });
    };
    return new UserConnections(credentials, this.topology, { dial, connectTimeoutMs, onReady, latencyOf: (node) => this.#latencyOf(node) }, events);
  }

  #lost(address: Address, reason: UpstreamError): void {
    const node = addressKey(address);
    const age = reason.code === "UPSTREAM_CONNECT" ? this.#outages.failed(node, reason.message, performance.now()) : {};
    if (age !== undefined) this.#options.log("warn", "connection to node ended", { database: this.name, node, error: reason.message, ...age });
    this.refresh();
  }

  #latencyOf(node: string): LatencyHistogram {
    let latency = this.nodeLatencies.get(node);
    if (latency === undefined) this.nodeLatencies.set(node, (latency = new LatencyHistogram()));
    return latency;
  }

  #anyUser(): UserConnections | undefined {
    for (const connections of this.#users.connections()) if (connections.refused === undefined) return connections;
    return undefined;
  }

  /** Looks for connections that are stuck, for which another topology may be the reason, and after the users. */
  #watch(): void {
    if (this.#silence.look()) this.refresh();
    this.#users.look();
  }

  *#connections(): Iterable<UpstreamConnection> {
    if (this.#control !== undefined) yield* this.#control.all();
    for (const connections of this.#users.connections()) yield* connections.all();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
