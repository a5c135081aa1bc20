import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { TLSSocket } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import { AuditLog } from "../access/audit.ts";
import type { Identity } from "../access/identity.ts";
import { mayBeUser, mayUseDatabase } from "../access/roles.ts";
import type { Database } from "../cluster/database.ts";
import type { DatabaseConfig, Limits, ProxyConfig } from "../config.ts";
import { ConfigError } from "../config.ts";
import { startAdmin } from "./admin.ts";
import { Door } from "./door.ts";
import type { DoorHost } from "./door.ts";
import type { Logger } from "./log.ts";
import { readMaterials } from "./materials.ts";
import { renderMetrics } from "./metrics.ts";
import { metricFamilies } from "./proxy-metrics.ts";
import { Session } from "./session.ts";
import { sessionObserver } from "./session-audit.ts";
import type { SessionLimits, SessionObserver } from "./session-options.ts";
import { SlowLog } from "./slow-log.ts";

/** A client that is there. */
interface Guest {
  readonly session: Session;
  readonly database: Database;
  /** Of the database it came for; another may stand behind the door by now. */
  readonly config: DatabaseConfig;
  readonly identity: Identity;
  readonly observer: SessionObserver;
}

/** What the sessions have done so far, over all databases. */
export interface Totals {
  sessions: number;
  refusedConnections: number;
  commands: number;
  errors: number;
  denied: number;
  dropped: number;
}

/** The proxy: all its databases, listeners and sessions, from its start to the last client's leaving. */
export class Proxy {
  #config: ProxyConfig;
  readonly #log: Logger;
  #doors: readonly Door[] = [];
  readonly #guests = new Map<number, Guest>();
  /** Databases and doors that only clients from before a reload use. */
  readonly #left = new Set<Database>();
  readonly #totals: Totals = { sessions: 0, refusedConnections: 0, commands: 0, errors: 0, denied: 0, dropped: 0 };
  readonly #slowLog: SlowLog;
  #limits: SessionLimits;
  /** What runs: SHA-256 of the program, and over all files of the configuration in force. */
  #version = { program: "", configuration: "" };
  #audit: AuditLog | undefined;
  #admin: { close(): Promise<void> } | undefined;
  #draining = false;
  #reloading = Promise.resolve();
  /** How the configuration in force came about, and what kept a newer one from it. */
  readonly #reloads = { loadedAt: new Date(), done: 0, failed: 0, problem: undefined as string | undefined };
  #lastId = 0;

  constructor(config: ProxyConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#limits = sessionLimits(config.limits);
    this.#slowLog = new SlowLog(log);
  }

  /**
   * Opens all doors. Databases that cannot be reached yet do not keep it from starting: `/readyz` says so.
   *
   * @throws ConfigError where a file it names cannot be read or used; Error where an address cannot be listened on
   */
  async start(): Promise<void> {
    const { admin, audit, databases } = this.#config;
    const loaded = { config: this.#config, materials: await readMaterials(this.#config) };
    const program = createHash("sha256").update(await readFile(process.argv[1]!)).digest("hex");
    this.#version = { program, configuration: loaded.materials.sha256 };
    if (audit !== undefined) this.#audit = await AuditLog.open(audit.file, { onFailure: audit.onFailure });
    const doors: Door[] = [];
    for (const database of databases) doors.push(await Door.make(this.#doorHost(), loaded, database));
    this.#doors = doors;
    for (const door of doors) await door.open();
    if (admin !== undefined) this.#admin = await startAdmin(admin, this.#adminView());
  }

  /**
   * Takes another configuration over, wholly or not at all, and opens the audit's file anew. Clients that are there stay, but
   * for those whose database is gone, who may finish, and those who may not be there any more, who are sent away at once.
   *
   * @throws ConfigError or Error where it cannot be used; the one before stays in force
   */
  async reload(next: () => Promise<ProxyConfig>): Promise<void> {
    const reload = this.#reloading.then(async () => {
      await this.#audit?.reopen();
      await this.#takeOver(await next());
    });
    this.#reloading = reload.then(
      () => {
        this.#reloads.done++;
        this.#reloads.loadedAt = new Date();
        this.#reloads.problem = undefined;
      },
      (error: unknown) => {
        this.#reloads.failed++;
        this.#reloads.problem = error instanceof Error ? error.message : String(error);
      },
    );
    await reload;
  }

  /** Takes no more clients, lets those that are there finish within the configured time, then ends. */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    for (const door of this.#doors) door.close();
    this.#log.info("draining", { sessions: this.#guests.size });
    for (const { session } of this.#guests.values()) session.drain();
    const deadline = performance.now() + this.#config.limits.drainMs;
    while (this.#guests.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    if (this.#guests.size > 0) this.#log.warn("sessions cut off", { sessions: this.#guests.size });
    for (const { session } of this.#guests.values()) session.destroy();
    for (const door of this.#doors) door.end();
    for (const database of this.#left) database.close();
    await this.#admin?.close();
    await this.#audit?.close();
  }

  #doorHost(): DoorHost {
    return {
      log: this.#log,
      connectionCount: () => this.#guests.size,
      events: (door) => ({
        onClient: (socket, identity) => {
          this.#admit(socket, identity, door);
        },
        onRefused: (remote, reason) => {
          this.#totals.refusedConnections++;
          this.#log.warn("client refused", { database: door.config.name, remote, reason });
        },
      }),
    };
  }

  async #takeOver(config: ProxyConfig): Promise<void> {
    if (this.#draining) return;
    refuseWhatNeedsRestart(this.#config, config);
    const loaded = { config, materials: await readMaterials(config) };
    const opened: Door[] = [];
    const prepared: { readonly door: Door; readonly change: Awaited<ReturnType<Door["prepare"]>> }[] = [];
    try {
      for (const database of config.databases) {
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
      for (const { change } of prepared) change.discard();
      for (const door of opened) {
        door.close();
        door.end();
      }
      throw error;
    }
    // From here on nothing can fail.
    const gone = this.#doors.filter((door) => !prepared.some((one) => one.door === door));
    this.#config = config;
    this.#version = { ...this.#version, configuration: loaded.materials.sha256 };
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
    this.#log.info("configuration taken over", { databases: config.databases.map(({ name }) => name) });
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
    this.#log.info("sessions of databases that are gone from the configuration may finish", { sessions: guests.length });
    for (const { session } of guests) session.drain();
    setTimeout(() => {
      for (const { session } of guests) session.destroy();
    }, this.#config.limits.drainMs).unref();
  }

  #sendAwayWhoMayNotStay(): void {
    for (const { session, config, identity, observer } of this.#guests.values()) {
      const user = session.redisUser;
      if (this.#mayReach(identity, config) && (user === undefined || this.#mayBeUser(identity, config, user))) continue;
      observer.dropped("the configuration does not allow it any more");
      session.destroy();
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

  #admit(socket: TLSSocket, identity: Identity, door: Door): void {
    const id = ++this.#lastId;
    const { database, config } = door;
    const observer = sessionObserver({
      id,
      identity,
      remote: `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`,
      database,
      audit: this.#audit,
      commands: this.#config.audit?.commands ?? "none",
      totals: this.#totals,
      stats: door.stats,
      slowLog: this.#slowLog,
      slowCommandMs: this.#config.limits.slowCommandMs,
      log: this.#log,
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
        observer.ended();
        if (this.#left.size > 0) this.#closeUnused();
      },
    });
    this.#guests.set(id, { session, database, config, identity, observer });
    this.#totals.sessions++;
    if (this.#draining) session.drain();
  }

  #adminView(): Parameters<typeof startAdmin>[1] {
    const databases = (): Record<string, string> =>
      Object.fromEntries(this.#doors.map(({ config, database }) => [config.name, database.ready ? "ready" : "not reached yet"]));
    return {
      health: () => {
        const audit = this.#audit?.health() ?? { ok: true, detail: "off" };
        const { loadedAt, problem } = this.#reloads;
        return { ok: audit.ok, detail: { audit: audit.detail, configuration: { loadedAt, problem } } };
      },
      ready: () => ({
        ok: !this.#draining && this.#doors.every(({ database }) => database.ready),
        detail: { draining: this.#draining, databases: databases() },
      }),
      version: () => this.#version,
      metrics: () => renderMetrics(metricFamilies(this.#totals, this.#guests.size, this.#doors, this.#reloads)),
    };
  }
}

/** What is set up once, at the start. */
function refuseWhatNeedsRestart(before: ProxyConfig, next: ProxyConfig): void {
  const fixed = (config: ProxyConfig): Record<string, unknown> => ({
    name: config.name,
    "admin.listen": config.admin,
    "audit.file": config.audit?.file,
    "audit.on_failure": config.audit?.onFailure,
    "limits.tls_handshake_timeout_ms": config.limits.tlsHandshakeTimeoutMs,
  });
  const [old, now] = [fixed(before), fixed(next)];
  const changed = Object.keys(old).filter((key) => !isDeepStrictEqual(old[key], now[key]));
  if (changed.length > 0) throw new ConfigError(changed.map((key) => `${key} has changed, which only a restart of the proxy takes over`));
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
