import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import type { AuditHealth, AuditLog } from "../access/audit.ts";
import type { Identity } from "../access/identity.ts";
import { mayBeUser, mayUseDatabase } from "../access/roles.ts";
import type { Database } from "../cluster/database.ts";
import type { DatabaseConfig, HostPort, Limits, ProxyConfig } from "../config.ts";
import { LOOK_MS, toEvict } from "./client-memory.ts";
import { Door } from "./door.ts";
import type { DoorHost, LoadedConfig } from "./door.ts";
import { remoteOf, turnAway } from "./listener.ts";
import type { ListeningSockets } from "./listening-sockets.ts";
import type { Logger } from "./log.ts";
import type { MetricFamily } from "./metrics.ts";
import { servingFamilies } from "./proxy-metrics.ts";
import { reach } from "./reach.ts";
import type { Seats } from "./seats.ts";
import { Session } from "./session.ts";
import { sessionObserver } from "./session-audit.ts";
import type { SessionLimits } from "./session-options.ts";
import type { SessionDetail, SessionState } from "./session-state.ts";
import { SlowLog } from "./slow-log.ts";
import type { Totals } from "./totals.ts";

/** A client that is there. */
interface Guest {
  readonly session: Session;
  readonly database: Database;
  /** Of the database it came for; another may stand behind the door by now. */
  readonly config: DatabaseConfig;
  readonly identity: Identity;
  readonly remote: string;
  /** When it came, in milliseconds of the monotonic clock. */
  readonly since: number;
}

/** Whose session it is, and how it stands. */
export interface SessionSummary extends SessionState {
  readonly session: number;
  readonly user: string;
  readonly roles: readonly string[];
  readonly remote: string;
  readonly database: string;
  readonly seconds: number;
}

/** What stands around the sessions of one process. */
export interface ServingHost {
  readonly log: Logger;
  readonly seats: Seats;
  readonly audit: AuditLog | undefined;
  /** How this process listens at the addresses that clients come to; undefined where it is handed their connections. */
  readonly sockets: ListeningSockets | undefined;
  /** What the keys of TLS sessions are derived from. */
  readonly ticketSecret: Buffer;
}

/** How one process stands. */
export interface ServingStatus {
  readonly sessions: number;
  /** Whether each database's topology and commands are known, by its name. */
  readonly databases: Readonly<Record<string, boolean>>;
  readonly audit: AuditHealth | undefined;
}

/** Another configuration that is ready to be taken over. */
export interface PreparedChange {
  /** Takes it over; cannot fail. */
  apply(): void;
  /** Forgets it. */
  discard(): void;
}

/** All databases, doors and sessions of one process, from its start to the last client's leaving. */
export class Serving {
  readonly #host: ServingHost;
  #config: ProxyConfig;
  #ticketSecret: Buffer;
  #doors: readonly Door[] = [];
  readonly #guests = new Map<number, Guest>();
  /** Databases and doors that only clients from before a reload use. */
  readonly #left = new Set<Database>();
  readonly #totals: Totals = { sessions: 0, refusedConnections: 0, commands: 0, errors: 0, denied: 0, dropped: 0 };
  readonly #slowLog: SlowLog;
  #limits: SessionLimits;
  #draining = false;
  /** Clients for whom a seat is asked. */
  #seating = 0;

  private constructor(host: ServingHost, config: ProxyConfig) {
    this.#host = host;
    this.#config = config;
    this.#ticketSecret = host.ticketSecret;
    this.#limits = sessionLimits(config.limits);
    this.#slowLog = new SlowLog(host.log);
  }

  /**
   * Opens all doors. Databases that cannot be reached yet do not keep it from starting: `status` says so. Where one cannot be
   * opened, clients who came by others meanwhile may finish first.
   *
   * @param reached names of databases that must be reached before, within ten seconds
   * @throws ConfigError where the configuration cannot be used; Error where an address cannot be listened on, or a database is not reached
   */
  static async start(host: ServingHost, loaded: LoadedConfig, reached: readonly string[] = []): Promise<Serving> {
    const serving = new Serving(host, loaded.config);
    const doors: Door[] = [];
    for (const database of loaded.config.databases) doors.push(await Door.make(serving.#doorHost(), loaded, database));
    serving.#doors = doors;
    try {
      for (const door of doors) door.reach();
      await reach(doors.flatMap(({ config, database }) => (reached.includes(config.name) ? [database] : [])));
      for (const door of doors) await door.open();
    } catch (error) {
      await serving.drain();
      throw error;
    }
    setInterval(() => {
      serving.#boundMemory();
    }, LOOK_MS).unref();
    return serving;
  }

  /**
   * Makes all that another configuration needs, and changes nothing yet. Once it is taken over, clients that are there stay, but
   * for those whose database is gone, who may finish, and those who may not be there any more, who are sent away at once.
   *
   * @throws ConfigError or Error where it cannot be used; the one before stays in force
   */
  async prepare(loaded: LoadedConfig): Promise<PreparedChange> {
    const opened: Door[] = [];
    const prepared: { readonly door: Door; readonly change: Awaited<ReturnType<Door["prepare"]>> }[] = [];
    const discard = (): void => {
      for (const { change } of prepared) change.discard();
      for (const door of opened) {
        door.close();
        door.end();
      }
    };
    try {
      for (const database of loaded.config.databases) {
        const door = this.#doors.find((known) => isDeepStrictEqual(known.config.listen, database.listen));
        if (door !== undefined) {
          prepared.push({ door, change: await door.prepare(loaded, database) });
          continue;
        }
        const made = await Door.make(this.#doorHost(), loaded, database);
        opened.push(made);
        await made.open();
      }
    } catch (error) {
      discard();
      throw error;
    }
    return {
      apply: () => {
        this.#takeOver(loaded, prepared, opened);
      },
      discard,
    };
  }

  /** Takes a client that came to `address`, whose connection another process has accepted. */
  receive(socket: Socket, address: HostPort): void {
    const door = this.#doors.find(({ config }) => isDeepStrictEqual(config.listen, address));
    if (door === undefined) socket.destroy();
    else door.receive(socket);
  }

  /** Has TLS sessions sealed by another secret from now on. */
  useTicketSecret(secret: Buffer): void {
    this.#ticketSecret = secret;
    for (const door of this.#doors) door.useTicketSecret(secret);
  }

  /** Takes no more clients, lets those that are there finish within the configured time, then ends. */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    // Behind the connections that this turn of the event loop has accepted: without a successor, who waits to be accepted is reset.
    await new Promise((resolve) => setImmediate(resolve));
    for (const door of this.#doors) door.close();
    this.#host.log.info("draining", { sessions: this.#guests.size });
    for (const { session } of this.#guests.values()) session.drain();
    const began = performance.now();
    // Those who are on their way in were accepted here, and nobody else can let them in; how long they may take has a limit of its own.
    while (this.#guests.size + this.#arriving() > 0 && performance.now() - began < this.#config.limits.drainMs) await new Promise((resolve) => setTimeout(resolve, 20));
    if (this.#guests.size > 0) this.#host.log.warn("sessions cut off", { sessions: this.#guests.size });
    for (const { session } of this.#guests.values()) session.destroy();
    for (const door of this.#doors) door.end();
    for (const database of this.#left) database.close();
  }

  status(): ServingStatus {
    return {
      sessions: this.#guests.size,
      databases: Object.fromEntries(this.#doors.map(({ config, database }) => [config.name, database.ready])),
      audit: this.#host.audit?.health(),
    };
  }

  /** All sessions, oldest first. */
  sessions(): SessionSummary[] {
    const now = performance.now();
    return [...this.#guests].map(([id, guest]) => ({ ...summaryOf(id, guest, now), ...guest.session.state() }));
  }

  /** One session, with its requests and connections; undefined where there is none of that number. */
  session(id: number): (SessionSummary & SessionDetail) | undefined {
    const guest = this.#guests.get(id);
    return guest === undefined ? undefined : { ...summaryOf(id, guest, performance.now()), ...guest.session.detail() };
  }

  /** What `/metrics` shows of this process. */
  families(): MetricFamily[] {
    return servingFamilies(this.#totals, this.#guests.size, this.#doors);
  }

  /** Clients that are on their way in. */
  #arriving(): number {
    return this.#doors.reduce((sum, { arriving }) => sum + arriving, this.#seating);
  }

  #doorHost(): DoorHost {
    const { log, sockets } = this.#host;
    return {
      log,
      sockets,
      ticketSecret: () => this.#ticketSecret,
      events: (door) => ({
        onClient: (socket, identity) => {
          this.#seat(socket, identity, door);
        },
        onRefused: (remote, reason) => {
          this.#refused(remote, reason, door);
        },
      }),
    };
  }

  #refused(remote: string, reason: string, door: Door): void {
    this.#totals.refusedConnections++;
    this.#host.log.warn("client refused", { database: door.config.name, remote, reason });
  }

  #takeOver({ config }: LoadedConfig, prepared: readonly { readonly door: Door; readonly change: { apply(): Database | undefined } }[], opened: readonly Door[]): void {
    const gone = this.#doors.filter((door) => !prepared.some((one) => one.door === door));
    this.#config = config;
    this.#limits = sessionLimits(config.limits);
    this.#doors = [...prepared.map(({ door }) => door), ...opened];
    for (const { change } of prepared) {
      const database = change.apply();
      if (database !== undefined) this.#left.add(database);
    }
    for (const door of gone) this.#retire(door);
    this.#drainWhoseDatabaseIsGone();
    this.#sendAwayWhoMayNotStay();
    this.#closeUnused();
  }

  #retire(door: Door): void {
    door.close();
    this.#left.add(door.database);
    setTimeout(() => {
      door.end();
    }, this.#config.limits.drainMs).unref();
  }

  #drainWhoseDatabaseIsGone(): void {
    const names = new Set(this.#config.databases.map(({ name }) => name));
    const guests = [...this.#guests.values()].filter(({ config }) => !names.has(config.name));
    if (guests.length === 0) return;
    this.#host.log.info("sessions of databases that are gone from the configuration may finish", { sessions: guests.length });
    for (const { session } of guests) session.drain();
    setTimeout(() => {
      for (const { session } of guests) session.destroy();
    }, this.#config.limits.drainMs).unref();
  }

  #sendAwayWhoMayNotStay(): void {
    for (const { session, config, identity } of this.#guests.values()) {
      const user = session.redisUser;
      if (this.#mayReach(identity, config) && (user === undefined || this.#mayBeUser(identity, config, user))) continue;
      session.drop("the configuration does not allow it any more");
    }
  }

  /** Nobody is asked what they hold while the whole process has less than they may. */
  #boundMemory(): void {
    const most = this.#config.limits.maxClientsMemoryBytes;
    if (process.memoryUsage.rss() < most) return;
    const bytesOf = ({ session }: Guest): number => {
      const { in: requests, held, out } = session.bytes;
      return requests + held + out;
    };
    for (const { client, bytes } of toEvict(this.#guests.values(), bytesOf, most)) {
      client.session.drop(`all clients together held more than ${most} bytes, this one ${bytes}: limits.max_clients_memory_bytes`);
    }
  }

  #closeUnused(): void {
    for (const database of this.#left) {
      if ([...this.#guests.values()].some((guest) => guest.database === database)) continue;
      database.close();
      this.#left.delete(database);
    }
  }

  #mayReach(identity: Identity, config: DatabaseConfig): boolean {
    return mayUseDatabase(this.#config.roles, identity, this.#labelsOf(config));
  }

  #mayBeUser(identity: Identity, config: DatabaseConfig, user: string): boolean {
    return this.#mayReach(identity, config) && mayBeUser(this.#config.roles, identity, this.#labelsOf(config), user);
  }

  /** A database's labels as they are now; as they were, where it is gone. */
  #labelsOf({ name, labels }: DatabaseConfig): DatabaseConfig["labels"] {
    return this.#config.databases.find((database) => database.name === name)?.labels ?? labels;
  }

  /** Lets a client in where there is room for one more. */
  #seat(socket: TLSSocket, identity: Identity, door: Door): void {
    const seat = this.#host.seats.take();
    if (seat instanceof Promise) {
      this.#seating++;
      void seat.then((granted) => { this.#seated(granted, socket, identity, door); }, () => socket.destroy()).finally(() => this.#seating--);
    } else this.#seated(seat, socket, identity, door);
  }

  #seated(seat: number | undefined, socket: TLSSocket, identity: Identity, door: Door): void {
    if (seat === undefined) {
      turnAway(socket, "ERR max number of clients reached");
      this.#refused(remoteOf(socket), `there are ${this.#config.limits.maxConnections} connections already`, door);
    } else if (socket.destroyed) {
      this.#host.seats.leave();
    } else {
      this.#admit(seat, socket, identity, door);
    }
  }

  #admit(id: number, socket: TLSSocket, identity: Identity, door: Door): void {
    const { database, config } = door;
    const remote = remoteOf(socket);
    const observer = sessionObserver({
      id,
      identity,
      remote,
      database,
      audit: this.#host.audit,
      commands: this.#config.audit?.commands ?? "none",
      totals: this.#totals,
      stats: door.stats,
      slowLog: this.#slowLog,
      slowCommandMs: this.#config.limits.slowCommandMs,
      log: this.#host.log,
    });
    const session = new Session({
      id,
      socket,
      database,
      policy: { databaseUser: identity.databaseUser, mayBeUser: (user) => this.#mayBeUser(identity, config, user) },
      limits: this.#limits,
      observer,
      onEnd: () => {
        this.#guests.delete(id);
        this.#host.seats.leave();
        observer.ended();
        if (this.#left.size > 0) this.#closeUnused();
      },
    });
    this.#guests.set(id, { session, database, config, identity, remote, since: performance.now() });
    this.#totals.sessions++;
    if (this.#draining) session.drain();
  }
}

function summaryOf(session: number, { identity, remote, config, since }: Guest, now: number): Omit<SessionSummary, keyof SessionState> {
  return { session, user: identity.user, roles: identity.roles, remote, database: config.name, seconds: Math.round(now - since) / 1_000 };
}

function sessionLimits(limits: Limits): SessionLimits {
  const { maxBulkBytes, maxArguments, maxInlineBytes } = limits;
  return {
    authenticated: { maxBulkBytes, maxArguments, maxInlineBytes },
    unauthenticated: {
      maxBulkBytes: limits.maxUnauthenticatedBytes,
      maxArguments: limits.maxUnauthenticatedArguments,
      maxInlineBytes,
      unauthenticated: true,
    },
    maxPipelineDepth: limits.maxPipelineDepth,
    maxClientOutputBytes: limits.maxClientOutputBytes,
    clientStallMs: limits.clientStallMs,
    idleTimeoutMs: limits.idleTimeoutMs,
  };
}
