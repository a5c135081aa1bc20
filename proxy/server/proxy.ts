import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { TLSSocket } from "node:tls";
import { AuditLog } from "../access/audit.ts";
import { EphemeralCertificate } from "../access/db-client-certificate.ts";
import type { Identity } from "../access/identity.ts";
import { mayBeUser, mayUseDatabase } from "../access/roles.ts";
import { Database } from "../cluster/database.ts";
import type { DatabaseConfig, Limits, ProxyConfig } from "../config.ts";
import { GUIDE_PROFILE } from "../routing/profile.ts";
import { startAdmin } from "./admin.ts";
import { LoadedFiles } from "./loaded-files.ts";
import { Listener } from "./listener.ts";
import type { ListenerTls } from "./listener.ts";
import type { Logger } from "./log.ts";
import { renderMetrics } from "./metrics.ts";
import { metricFamilies } from "./proxy-metrics.ts";
import { Session } from "./session.ts";
import { sessionObserver } from "./session-audit.ts";
import type { SessionLimits } from "./session-options.ts";
import { dialPlain, UpstreamTls } from "./upstream-tls.ts";

/** One database with its listener. */
interface Door {
  readonly config: DatabaseConfig;
  readonly database: Database;
  readonly upstream: UpstreamTls | undefined;
  readonly listener: Listener;
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
  readonly #config: ProxyConfig;
  readonly #log: Logger;
  readonly #doors: Door[] = [];
  readonly #sessions = new Map<number, Session>();
  readonly #totals: Totals = { sessions: 0, refusedConnections: 0, commands: 0, errors: 0, denied: 0, dropped: 0 };
  readonly #limits: SessionLimits;
  readonly #files: LoadedFiles;
  #program = "";
  #audit: AuditLog | undefined;
  #admin: { close(): Promise<void> } | undefined;
  #draining = false;
  #lastId = 0;

  constructor(config: ProxyConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#limits = sessionLimits(config.limits);
    this.#files = new LoadedFiles(config.directory);
  }

  /**
   * Opens all doors. Databases that cannot be reached yet do not keep it from starting: `/readyz` says so.
   *
   * @throws ConfigError where a file it names cannot be read or used; Error where an address cannot be listened on
   */
  async start(): Promise<void> {
    const { tls, admin, audit, databases, source, dbCaFile } = this.#config;
    this.#program = createHash("sha256").update(await readFile(process.argv[1]!)).digest("hex");
    if (source !== undefined) this.#files.remember(source.file, source.sha256);
    // Also where every database brings an authority of its own: a file that is named must be there.
    if (dbCaFile !== undefined) await this.#files.read(dbCaFile);
    const listenerTls: ListenerTls = { cert: await this.#files.read(tls.certFile), key: await this.#files.read(tls.keyFile), clientCa: await this.#files.read(tls.clientCaFile) };
    if (audit !== undefined) this.#audit = await AuditLog.open(audit.file, { onFailure: audit.onFailure });
    for (const database of databases) this.#doors.push(await this.#openDoor(database, listenerTls));
    for (const { listener } of this.#doors) await listener.start();
    for (const { database } of this.#doors) database.start();
    if (admin !== undefined) this.#admin = await startAdmin(admin, this.#adminView());
    for (const { config } of this.#doors) {
      this.#log.info("listening", { database: config.name, address: `${config.listen.host}:${config.listen.port}` });
    }
  }

  /** Takes no more clients, lets those that are there finish within the configured time, then ends. */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    for (const { listener } of this.#doors) listener.stop();
    this.#log.info("draining", { sessions: this.#sessions.size });
    for (const session of this.#sessions.values()) session.drain();
    const deadline = performance.now() + this.#config.limits.drainMs;
    while (this.#sessions.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    if (this.#sessions.size > 0) this.#log.warn("sessions cut off", { sessions: this.#sessions.size });
    for (const session of this.#sessions.values()) session.destroy();
    for (const { database, upstream } of this.#doors) {
      database.close();
      upstream?.stop();
    }
    await this.#admin?.close();
    await this.#audit?.close();
  }

  /** Opens the audit's file anew, after a log rotation moved it away. */
  async reopenAudit(): Promise<void> {
    await this.#audit?.reopen();
  }

  async #openDoor(config: DatabaseConfig, tls: ListenerTls): Promise<Door> {
    const upstream = config.tls ? await this.#upstreamTls(config) : undefined;
    const { connectTimeoutMs, retryBudgetMs, topologyRefreshMs } = this.#config.limits;
    const service = config.serviceUser;
    const database = new Database({
      name: config.name,
      mode: config.mode,
      seeds: config.seeds,
      profile: GUIDE_PROFILE,
      dial: upstream === undefined ? dialPlain : (address) => upstream.dial(address),
      connectTimeoutMs,
      retryBudgetMs,
      topologyRefreshMs,
      serviceUser: service && { user: service.name, auth: [Buffer.from(service.name), Buffer.from((await this.#files.read(service.passwordFile)).trim())] },
      log: (level, message, fields) => {
        this.#log[level](message, fields);
      },
    });
    const listener = new Listener(config.listen, tls, this.#config.limits, () => this.#sessions.size, {
      onClient: (socket, identity) => {
        this.#admit(socket, identity, config, database);
      },
      onRefused: (remote, reason) => {
        this.#totals.refusedConnections++;
        this.#log.warn("client refused", { database: config.name, remote, reason });
      },
    });
    return { config, database, upstream, listener };
  }

  async #upstreamTls(config: DatabaseConfig): Promise<UpstreamTls> {
    const { dbClient, name, dbCaFile } = this.#config;
    const certificate = new EphemeralCertificate(await this.#files.read(dbClient.caCertFile), await this.#files.read(dbClient.caKeyFile), { commonName: name });
    const upstream = new UpstreamTls(certificate, await this.#files.read((config.caFile ?? dbCaFile)!), (error) => {
      this.#log.error("certificate for the database not renewed", { database: config.name, error });
    });
    await upstream.start();
    return upstream;
  }

  #admit(socket: TLSSocket, identity: Identity, config: DatabaseConfig, database: Database): void {
    const { roles } = this.#config;
    const id = ++this.#lastId;
    const reachable = mayUseDatabase(roles, identity, config.labels);
    const observer = sessionObserver({
      id,
      identity,
      remote: `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`,
      database,
      audit: this.#audit,
      commands: this.#config.audit?.commands ?? "none",
      totals: this.#totals,
      log: this.#log,
    });
    const session = new Session({
      id,
      socket,
      database,
      policy: {
        databaseUser: identity.databaseUser,
        mayBeUser: (user) => reachable && mayBeUser(roles, identity, config.labels, user),
      },
      limits: this.#limits,
      observer,
      onEnd: () => {
        this.#sessions.delete(id);
        observer.ended();
      },
    });
    this.#sessions.set(id, session);
    this.#totals.sessions++;
    if (this.#draining) session.drain();
  }

  #adminView(): Parameters<typeof startAdmin>[1] {
    const databases = (): Record<string, string> =>
      Object.fromEntries(this.#doors.map(({ config, database }) => [config.name, database.ready ? "ready" : "not reached yet"]));
    return {
      health: () => {
        const audit = this.#audit?.health() ?? { ok: true, detail: "off" };
        return { ok: audit.ok, detail: { audit: audit.detail } };
      },
      ready: () => ({
        ok: !this.#draining && this.#doors.every(({ database }) => database.ready),
        detail: { draining: this.#draining, databases: databases() },
      }),
      version: () => ({ program: this.#program, configuration: this.#files.sha256 }),
      metrics: () => renderMetrics(metricFamilies(this.#totals, this.#sessions.size, this.#doors.map(({ database }) => database))),
    };
  }
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
