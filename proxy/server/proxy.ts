import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import type { ProxyConfig } from "../config.ts";
import { ConfigError } from "../config.ts";
import { startAdmin } from "./admin.ts";
import type { AdminView, Verdict } from "./admin.ts";
import type { LoadedConfig } from "./door.ts";
import type { Fleet } from "./fleet.ts";
import type { ListeningSockets } from "./listening-sockets.ts";
import type { Logger } from "./log.ts";
import { readMaterials } from "./materials.ts";
import { renderMetrics } from "./metrics.ts";
import { proxyFamilies } from "./proxy-metrics.ts";
import { healthOf, readinessOf } from "./proxy-status.ts";
import { makeTicketSecret, TICKET_SECRET_MS } from "./ticket-keys.ts";

/** The proxy as its operator knows it: one configuration, one admin endpoint, one life, whatever number of processes serves. */
export class Proxy {
  #config: ProxyConfig;
  readonly #log: Logger;
  readonly #fleet: Fleet;
  readonly #sockets: ListeningSockets;
  /** What runs: SHA-256 of the program, and over all files of the configuration in force. */
  #version = { program: "", configuration: "" };
  #admin: { close(): Promise<void> } | undefined;
  #draining: Promise<void> | undefined;
  #reloading = Promise.resolve();
  #ticketTimer: NodeJS.Timeout | undefined;
  /** How the configuration in force came about, and what kept a newer one from it. */
  readonly #reloads = { loadedAt: new Date(), done: 0, failed: 0, problem: undefined as string | undefined };

  constructor(config: ProxyConfig, fleet: Fleet, sockets: ListeningSockets, log: Logger) {
    this.#config = config;
    this.#fleet = fleet;
    this.#sockets = sockets;
    this.#log = log;
  }

  /**
   * Opens all doors. Databases that cannot be reached yet do not keep it from starting: `/readyz` says so.
   *
   * @param reached names of databases that it must reach before: the process whose place it takes does
   * @throws ConfigError where a file it names cannot be read or used; Error where an address cannot be listened on
   */
  async start(reached: readonly string[] = []): Promise<void> {
    const { admin } = this.#config;
    const loaded = { config: this.#config, materials: await readMaterials(this.#config) };
    const program = createHash("sha256").update(await readFile(process.argv[1]!)).digest("hex");
    this.#version = { program, configuration: loaded.materials.sha256 };
    await this.#fleet.start(loaded, reached);
    this.#ticketTimer = setInterval(() => {
      this.#fleet.useTicketSecret(makeTicketSecret());
    }, TICKET_SECRET_MS).unref();
    if (admin !== undefined) this.#admin = await startAdmin(admin, this.#adminView(), this.#sockets);
  }

  /**
   * Takes another configuration over, wholly or not at all, and opens the audit's file anew. Clients that are there stay, but
   * for those whose database is gone, who may finish, and those who may not be there any more, who are sent away at once.
   *
   * @throws ConfigError or Error where it cannot be used; the one before stays in force
   */
  async reload(next: () => Promise<ProxyConfig>): Promise<void> {
    const reload = this.#reloading.then(async () => {
      await this.#fleet.reopenAudit();
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

  /** Names of the databases whose topology and commands are known. */
  async reached(): Promise<string[]> {
    const databases = (await this.#fleet.status()).flatMap(({ status }) => Object.entries(status?.databases ?? {}));
    return [...new Set(databases.flatMap(([name, ready]) => (ready ? [name] : [])))];
  }

  /**
   * Takes no more clients, lets those that are there finish within the configured time, then ends.
   *
   * @param succeeded whether another process has taken its place, which is the one that answers the operator from now on
   */
  drain(succeeded = false): Promise<void> {
    this.#draining ??= this.#drain(succeeded);
    return this.#draining;
  }

  async #drain(succeeded: boolean): Promise<void> {
    clearInterval(this.#ticketTimer);
    const closed = succeeded ? this.#admin?.close() : undefined;
    await this.#fleet.drain();
    await (closed ?? this.#admin?.close());
  }

  async #takeOver(config: ProxyConfig): Promise<void> {
    if (this.#draining !== undefined) return;
    refuseWhatNeedsRestart(this.#config, config);
    const loaded: LoadedConfig = { config, materials: await readMaterials(config) };
    const change = await this.#fleet.prepare(loaded);
    // From here on nothing can fail.
    await change.apply();
    this.#config = config;
    this.#version = { ...this.#version, configuration: loaded.materials.sha256 };
    this.#log.info("configuration taken over", { databases: config.databases.map(({ name }) => name) });
  }

  #adminView(): AdminView {
    return {
      health: async (): Promise<Verdict> => {
        const { loadedAt, problem } = this.#reloads;
        const { ok, audit, workers } = healthOf(await this.#fleet.status(), this.#fleet.auditFile());
        return { ok, detail: { audit: audit ?? "off", configuration: { loadedAt, problem }, workers } };
      },
      ready: async (): Promise<Verdict> => {
        const draining = this.#draining !== undefined;
        const { ok, databases, workers } = readinessOf(await this.#fleet.status());
        return { ok: ok && !draining, detail: { draining, databases, workers } };
      },
      version: () => this.#version,
      sessions: () => this.#fleet.sessions(),
      session: (id) => this.#fleet.session(id),
      metrics: async () => renderMetrics([...(await this.#fleet.families()), ...proxyFamilies(this.#reloads)]),
    };
  }
}

/** What is set up once, at the start. */
function refuseWhatNeedsRestart(before: ProxyConfig, next: ProxyConfig): void {
  const fixed = (config: ProxyConfig): Record<string, unknown> => ({
    name: config.name,
    workers: config.workers,
    "admin.listen": config.admin,
    "audit.file": config.audit?.file,
    "audit.on_failure": config.audit?.onFailure,
    "limits.tls_handshake_timeout_ms": config.limits.tlsHandshakeTimeoutMs,
  });
  const [old, now] = [fixed(before), fixed(next)];
  const changed = Object.keys(old).filter((key) => !isDeepStrictEqual(old[key], now[key]));
  if (changed.length > 0) throw new ConfigError(changed.map((key) => `${key} has changed, which only a restart of the proxy takes over`));
}
