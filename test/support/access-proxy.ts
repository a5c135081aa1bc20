import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import { stringify } from "yaml";
import type { NodeAddress } from "../../components/cluster-plan.ts";
import { bundleProxy, proxyNodeArguments } from "../../components/proxy-bundle.ts";
import { makeLeaf, makeUserCertificate } from "./certificates.ts";
import type { TestAuthorities } from "./certificates.ts";
import type { TestCertificate } from "./certificate.ts";
import { Child } from "./child.ts";
import { findFreePorts } from "./free-ports.ts";
import { waitFor } from "./wait-for.ts";

/** What a test's proxy leads to. */
export interface TestProxyTarget {
  readonly authorities: TestAuthorities;
  readonly nodes: readonly NodeAddress[];
  readonly passwords: Readonly<Record<string, string>>;
}

/** How a test's proxy is made. */
export interface TestProxyOptions {
  /** Default `cluster`. */
  readonly mode?: "cluster" | "standalone";
  /** The `limits` of proxy.yaml. */
  readonly limits?: Readonly<Record<string, number>>;
  /** The `roles` of proxy.yaml; default: the built-in one. */
  readonly roles?: readonly unknown[];
  /** Further keys of the database's entry, or in place of those there. */
  readonly database?: Readonly<Record<string, unknown>>;
  /** Further databases, by their entries; each listens on a port of its own. */
  readonly furtherDatabases?: readonly Readonly<Record<string, unknown>>[];
  /** Further keys of proxy.yaml, or in place of those there. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Whether SIGUSR2 starts what `successor.json` in the proxy's directory says. */
  readonly successor?: boolean;
  /** Arguments of Node before the program, such as --cpu-prof. */
  readonly nodeArguments?: readonly string[];
}

const startLimitMs = 20_000;
/** For runs of whole test files against several processes: `PROXY_WORKERS=2 npm run test:conformance`. */
const workers = process.env["PROXY_WORKERS"];

/** A proxy as its clients come to it, whoever has made it. */
export interface ProxyDoor extends Pick<TestProxy, "client" | "socket"> {
  readonly target: Pick<TestProxyTarget, "passwords">;
}

/** The bundled access proxy as a process of its own, in front of a real cluster or server. */
export class TestProxy {
  readonly directory: string;
  readonly port: number;
  readonly adminPort: number;
  readonly target: TestProxyTarget;
  /** A user certificate with the role `access`. */
  readonly certificate: TestCertificate;
  readonly child: Child;

  private constructor(target: TestProxyTarget, directory: string, [port, adminPort]: readonly number[], certificate: TestCertificate, child: Child) {
    this.target = target;
    this.directory = directory;
    this.port = port!;
    this.adminPort = adminPort!;
    this.certificate = certificate;
    this.child = child;
  }

  /** Starts a proxy and waits until it is ready. `stop` must be called in the end. */
  static async start(target: TestProxyTarget, options: TestProxyOptions = {}): Promise<TestProxy> {
    const directory = mkdtempSync(join(tmpdir(), "redis-access-proxy-"));
    const ports = await findFreePorts(2);
    await writeFiles(directory, target, options, ports);
    const bundle = bundleProxy();
    const args = [...proxyNodeArguments, ...(options.nodeArguments ?? []), bundle.path, "--config", join(directory, "proxy.yaml"), ...(options.successor === true ? ["--successor", join(directory, "successor.json")] : [])];
    const child = new Child({ command: process.execPath, args, directory, logFile: join(directory, "proxy.log") });
    const proxy = new TestProxy(target, directory, ports, await makeUserCertificate(target.authorities), child);
    try {
      await waitFor("the proxy is ready", startLimitMs, async () => {
        if (child.end !== undefined) throw new Error(`it has ended: ${child.log}`);
        return (await fetch(`http://127.0.0.1:${proxy.adminPort}/readyz`)).ok;
      });
    } catch (error) {
      const log = child.log;
      await proxy.stop();
      throw new Error(`the proxy did not become ready: ${log}`, { cause: error });
    }
    return proxy;
  }

  /** TLS options of a client with the given user certificate. */
  tls(certificate: TestCertificate = this.certificate): { ca: string; cert: string; key: string; servername: string } {
    return { ca: this.target.authorities.proxy.certPem, cert: certificate.certPem, key: certificate.keyPem, servername: "localhost" };
  }

  /** The same for a program that wants paths: files in the proxy's own directory, which go with it. */
  tlsFiles(certificate: TestCertificate = this.certificate): { ca: string; cert: string; key: string } {
    const directory = mkdtempSync(join(this.directory, "client-"));
    const { ca, cert, key } = this.tls(certificate);
    return Object.fromEntries(
      Object.entries({ ca, cert, key }).map(([name, pem]) => {
        const file = join(directory, `${name}.pem`);
        writeFileSync(file, pem, { mode: 0o600 });
        return [name, file];
      }),
    ) as { ca: string; cert: string; key: string };
  }

  /**
   * The arguments with which redis-cli and redis-benchmark come to the proxy as `user`, with the certificate but without the
   * password: that goes into REDISCLI_AUTH, or into -a where a program knows no other way.
   */
  redisCliArguments(user = "alice"): string[] {
    const { ca, cert, key } = this.tlsFiles();
    return ["-h", "127.0.0.1", "-p", String(this.port), "--user", user, "--tls", "--cacert", ca, "--cert", cert, "--key", key];
  }

  /** An ioredis client that logs in as `user`. */
  client(user = "alice", options: RedisOptions = {}, certificate = this.certificate): Redis {
    const client = new Redis({
      ...{ host: "127.0.0.1", port: this.port, username: user, password: this.target.passwords[user]!, tls: this.tls(certificate) },
      // HELLO, CLIENT SETINFO and INFO are not offered in the guide's profile.
      ...{ protocol: 2, disableClientInfo: true, enableReadyCheck: false },
      ...options,
    });
    client.on("error", () => undefined);
    return client;
  }

  /**
   * A raw connection over TLS, not logged in: for bytes that no client library sends.
   * @param port of another database of the proxy, or of something in between
   */
  socket(certificate = this.certificate, port = this.port): TLSSocket {
    const socket = connect({ host: "127.0.0.1", port, ...this.tls(certificate) });
    socket.on("error", () => undefined);
    return socket;
  }

  /** The audit's events so far; whole lines only. */
  audit(): Record<string, unknown>[] {
    const text = readFileSync(join(this.directory, "audit.log"), "utf8");
    return text.slice(0, text.lastIndexOf("\n") + 1).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** The text of /metrics. */
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.adminPort}/metrics`)).text();
  }

  async stop(): Promise<void> {
    await this.child.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function writeFiles(directory: string, target: TestProxyTarget, options: TestProxyOptions, [port, adminPort]: readonly number[]): Promise<void> {
  const { authorities, nodes, passwords } = target;
  const server = await makeLeaf(authorities, "proxy", { commonName: "test proxy" });
  const mode = options.mode ?? "cluster";
  const [first, ...others] = nodes.map(({ host, port: nodePort }) => `${host}:${nodePort}`);
  const database = {
    ...{ name: "example-redis", protocol: "redis", uri: `rediss://${first ?? ""}${mode === "cluster" ? "?mode=cluster" : ""}` },
    ...(mode === "cluster" && others.length > 0 ? { nodes: others } : {}),
    ...{ static_labels: { env: "test" }, tls: { ca_cert_file: "redis-ca.crt" }, listen: `127.0.0.1:${port!}`, profile: "guide" },
    service_user: { name: "proxy", password_file: "proxy.password" },
    ...options.database,
  };
  const config = {
    name: "test-proxy",
    tls: { cert_file: "server.crt", key_file: "server.key", client_ca_file: "user-ca.crt" },
    db_client: { ca_cert_file: "db-client-ca.crt", ca_key_file: "db-client-ca.key" },
    db: { ca_cert_file: "db-ca.crt" },
    admin: { listen: `127.0.0.1:${adminPort!}` },
    audit: { file: "audit.log", commands: "all" },
    ...(options.limits !== undefined && { limits: options.limits }),
    ...(options.roles !== undefined && { roles: options.roles }),
    ...(workers !== undefined && { workers: Number(workers) }),
    databases: [database, ...(options.furtherDatabases ?? [])],
    ...options.config,
  };
  const contents = {
    "proxy.yaml": stringify(config),
    "server.crt": server.certPem,
    "server.key": server.keyPem,
    "user-ca.crt": authorities.user.certPem,
    "db-client-ca.crt": authorities.db_client.certPem,
    "db-client-ca.key": authorities.db_client.keyPem,
    "db-ca.crt": authorities.db.certPem,
    "redis-ca.crt": authorities.redis.certPem,
    "proxy.password": passwords["proxy"]!,
  };
  for (const [file, content] of Object.entries(contents)) writeFileSync(join(directory, file), content, { mode: 0o600 });
}
