import type { Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { EphemeralCertificate } from "../access/db-client-certificate.ts";
import { Database } from "../cluster/database.ts";
import type { DatabaseConfig, ProxyConfig } from "../config.ts";
import { GUIDE_PROFILE } from "../routing/profile.ts";
import { CommandStats } from "./command-stats.ts";
import { Listener } from "./listener.ts";
import type { ListenerEvents } from "./listener.ts";
import type { ListeningSockets } from "./listening-sockets.ts";
import type { Logger } from "./log.ts";
import type { Materials } from "./materials.ts";
import { reach } from "./reach.ts";
import { dialPlain, UpstreamTls } from "./upstream-tls.ts";

/** A configuration, and what is in the files that it names. */
export interface LoadedConfig {
  readonly config: ProxyConfig;
  readonly materials: Materials;
}

/** What a door needs of the proxy. */
export interface DoorHost {
  readonly log: Logger;
  /** How the doors listen; undefined where they are handed connections that were accepted for them. */
  readonly sockets: ListeningSockets | undefined;
  /** What the keys of TLS sessions are derived from now. */
  readonly ticketSecret: () => Buffer;
  readonly events: (door: Door) => ListenerEvents;
}

/** One database with its listener: where its clients arrive, and what they reach. Only its address is for ever. */
export class Door {
  config: DatabaseConfig;
  database: Database;
  /** Of all clients that have come here. */
  readonly stats = new CommandStats();

  readonly #host: DoorHost;
  readonly #listener: Listener;
  #loaded: LoadedConfig;
  #upstream: UpstreamTls | undefined;
  #reaching = false;

  private constructor(host: DoorHost, loaded: LoadedConfig, config: DatabaseConfig, upstream: UpstreamTls | undefined) {
    this.#host = host;
    this.#loaded = loaded;
    this.config = config;
    this.#upstream = upstream;
    this.database = this.#makeDatabase(loaded, config, () => this.#upstream!);
    const { tlsHandshakeTimeoutMs } = loaded.config.limits;
    this.#listener = new Listener({ tls: loaded.materials.listener, tlsHandshakeTimeoutMs, ticketSecret: host.ticketSecret(), events: host.events(this) });
  }

  /**
   * Makes a door; it is not open yet.
   *
   * @throws DbClientAuthorityError where the db_client authority must not sign
   */
  static async make(host: DoorHost, loaded: LoadedConfig, config: DatabaseConfig): Promise<Door> {
    return new Door(host, loaded, config, await upstreamTls(host, loaded, config));
  }

  /** Begins to reach the database. */
  reach(): void {
    if (this.#reaching) return;
    this.#reaching = true;
    this.database.start();
  }

  /**
   * Begins to take clients.
   *
   * @throws Error with the address in its message, where that cannot be taken
   */
  async open(): Promise<void> {
    const { sockets } = this.#host;
    if (sockets !== undefined) await this.#listener.listen(this.config.listen, sockets);
    this.reach();
    if (sockets !== undefined) this.#host.log.info("listening", { database: this.config.name, address: `${this.config.listen.host}:${this.config.listen.port}` });
  }

  /** Clients that have come, and have not proved yet who they are. */
  get arriving(): number {
    return this.#listener.arriving;
  }

  /** Takes a client whose connection another process has accepted. */
  receive(socket: Socket): void {
    this.#listener.receive(socket);
  }

  /** Has TLS sessions sealed by another secret from now on. */
  useTicketSecret(secret: Buffer): void {
    this.#listener.useTicketSecret(secret);
  }

  /**
   * Makes what another configuration needs, and changes nothing yet. What leads to the database otherwise is tried: it must lead
   * there, if what is in force does.
   *
   * @returns takes it over, and cannot fail: for clients that come from then on. It returns the database that is left to the
   * clients there are, where the new configuration calls for another.
   * @throws as `make`; Error where the database is not reached by it
   */
  async prepare(loaded: LoadedConfig, config: DatabaseConfig): Promise<{ apply(): Database | undefined; discard(): void }> {
    const upstream = await upstreamTls(this.#host, loaded, config);
    let applied = false;
    const other = this.#makeDatabase(loaded, config, () => (applied ? this.#upstream! : upstream!));
    const [before, after] = [waysTo(this.#loaded, this.config), waysTo(loaded, config)];
    const discard = (): void => {
      other.close();
      upstream?.stop();
    };
    try {
      if (!isDeepStrictEqual(before, after)) await this.#try(other);
    } catch (error) {
      discard();
      throw error;
    }
    return {
      apply: () => {
        applied = true;
        // Where the new configuration has no TLS, the clients there are still need it.
        if (upstream !== undefined) {
          this.#upstream?.stop();
          this.#upstream = upstream;
        }
        this.#loaded = loaded;
        this.config = config;
        this.#listener.take(loaded.materials.listener);
        if (isDeepStrictEqual(before.database, after.database)) {
          other.close();
          return undefined;
        }
        const former = this.database;
        this.database = other;
        return former;
      },
      discard,
    };
  }

  /** Takes no more clients; those that are there stay. */
  close(): void {
    this.#listener.stop();
  }

  /** Ends what is left when the last client has gone. */
  end(): void {
    this.database.close();
    this.#upstream?.stop();
  }

  /** @throws Error where it is not reached, and the database that there is now answers */
  async #try(other: Database): Promise<void> {
    other.start();
    if (!this.database.ready) return;
    try {
      await reach([other]);
    } catch (error) {
      if (await this.database.answers()) throw error;
    }
  }

  #makeDatabase({ config: { limits }, materials }: LoadedConfig, config: DatabaseConfig, upstream: () => UpstreamTls): Database {
    const { log } = this.#host;
    const user = config.serviceUser?.name;
    const password = materials.databases.get(config.name)?.password ?? "";
    return new Database({
      name: config.name,
      mode: config.mode,
      seeds: config.seeds,
      profile: GUIDE_PROFILE,
      dial: config.tls ? (address) => upstream().dial(address) : dialPlain,
      connectTimeoutMs: limits.connectTimeoutMs,
      retryBudgetMs: limits.retryBudgetMs,
      topologyRefreshMs: limits.topologyRefreshMs,
      serviceUser: user === undefined ? undefined : { user, auth: [Buffer.from(user), Buffer.from(password)] },
      log: (level, message, fields) => {
        log[level](message, fields);
      },
    });
  }
}

/** What leads to a database. */
function waysTo({ config: { limits }, materials }: LoadedConfig, config: DatabaseConfig) {
  const { connectTimeoutMs, retryBudgetMs, topologyRefreshMs } = limits;
  const { name, mode, seeds, tls, profile, serviceUser } = config;
  const { ca, password } = materials.databases.get(config.name)!;
  return {
    /** What it is made from: where that is alike, connections that are there can stay. */
    database: { connectTimeoutMs, retryBudgetMs, topologyRefreshMs, name, mode, seeds, tls, profile, user: serviceUser?.name, password },
    /** Only new connections show it. */
    trust: { ca, ...materials.dbClient },
  };
}

async function upstreamTls(host: DoorHost, { config: { name }, materials }: LoadedConfig, config: DatabaseConfig): Promise<UpstreamTls | undefined> {
  const ca = materials.databases.get(config.name)?.ca;
  if (ca === undefined) return undefined;
  const certificate = new EphemeralCertificate(materials.dbClient.caCert, materials.dbClient.caKey, { commonName: name });
  const upstream = new UpstreamTls(certificate, ca, (error) => {
    host.log.error("certificate for the database not renewed", { database: config.name, error });
  });
  await upstream.start();
  return upstream;
}
