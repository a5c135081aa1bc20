import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import { renderRedisConf } from "../../components/redis-conf.ts";
import type { RedisParameter } from "../../components/redis-conf.ts";
import type { TestCertificate } from "./certificate.ts";
import { Child } from "./child.ts";
import { waitFor } from "./wait-for.ts";

/** What one redis-server of a test is made of. */
export interface TestServerOptions {
  /** Its own; it is made. */
  readonly directory: string;
  readonly port: number;
  /** What it shows as a server, and to its peers as a client. */
  readonly certificate: TestCertificate;
  /** What verifies its certificate. */
  readonly caPem: string;
  /** Text of `pem-bundle.cas`: what it trusts. */
  readonly bundle: string;
  /** Text of `users.acl`. */
  readonly acl: string;
  /** Of the user `replica-user`, whom it logs in as at its master. */
  readonly replicationPassword: string;
  /** Default 1000. */
  readonly nodeTimeoutMs?: number;
  /** Additional redis.conf parameters. Default: no snapshots. */
  readonly parameters?: Readonly<Record<string, RedisParameter>>;
  /** False for a server that replicates by REPLICAOF, which a cluster's node refuses. Default true. */
  readonly clusterEnabled?: boolean;
}

const startLimitMs = 20_000;

/** One redis-server from this project's own redis.conf and whatever certificates a test gives it. */
export class TestServer {
  readonly options: TestServerOptions;
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly directory: string;
  /** The process; another one after a restart. */
  child: Child;

  /** Writes the server's files and starts it; whether it answers is for `answers` to tell. */
  constructor(options: TestServerOptions) {
    this.options = options;
    this.port = options.port;
    this.directory = options.directory;
    writeFiles(options);
    this.child = this.#start();
  }

  /** Starts it again after it has ended, with the data it has. */
  restart(): void {
    this.child = this.#start();
  }

  /** A client of it, with the server's own certificate and the given user. */
  client(username: string, password: string, options: RedisOptions = {}): Redis {
    const { certPem, keyPem } = this.options.certificate;
    const client = new Redis({ host: this.host, port: this.port, username, password, tls: { ca: this.options.caPem, cert: certPem, key: keyPem, servername: "" }, ...options });
    client.on("error", () => undefined);
    return client;
  }

  /** Waits until it answers the client; the client is not closed. */
  async answers(client: Redis): Promise<void> {
    await waitFor(`the server at ${this.port} answers`, startLimitMs, async () => {
      if (this.child.end !== undefined) throw new Error(`it has ended: ${this.child.log}`);
      return (await client.call("PING")) === "PONG";
    });
  }

  /** What redis-server itself has logged. */
  log(): string {
    return readFileSync(join(this.directory, "redis.log"), "utf8");
  }

  #start(): Child {
    const { directory } = this;
    return new Child({ command: "redis-server", args: [join(directory, "redis.conf")], directory, logFile: join(directory, "output.log") });
  }
}

function writeFiles({ directory, port, certificate, caPem, bundle, acl, replicationPassword, nodeTimeoutMs, parameters, clusterEnabled }: TestServerOptions): void {
  mkdirSync(join(directory, "data"), { recursive: true });
  const at = (file: string): string => join(directory, file);
  const conf = renderRedisConf({
    ...{ host: "127.0.0.1", port, dataDirectory: at("data"), logFile: at("redis.log"), aclFile: at("users.acl") },
    ...{ certFile: at("server.crt"), keyFile: at("server.key"), caFile: at("pem-bundle.cas") },
    ...{ masterUser: "replica-user", masterPassword: replicationPassword, nodeTimeoutMs: nodeTimeoutMs ?? 1000 },
    // A replica has its data at once: what a test does with a cluster begins when it is whole.
    parameters: { "repl-diskless-sync-delay": 0, ...(parameters ?? { save: "" }) },
  });
  const contents = {
    "redis.conf": clusterEnabled === false ? conf.replace("\ncluster-enabled yes\n", "\ncluster-enabled no\n") : conf,
    "users.acl": acl,
    "ca.crt": caPem,
    "server.crt": certificate.certPem,
    "server.key": certificate.keyPem,
    "pem-bundle.cas": bundle,
  };
  for (const [file, content] of Object.entries(contents)) writeFileSync(at(file), content, { mode: 0o600 });
}
