import * as pulumi from "@pulumi/pulumi";
import { checkAuthorityKind } from "./authority.ts";
import type { CertificateAuthority } from "./authority.ts";
import type { AuthorityKind } from "./certificate-profile.ts";
import { clientUri } from "./client-uri.ts";
import type { NodeAddress } from "./cluster-plan.ts";
import { contentHash } from "./content-hash.ts";
import type { Host } from "./host.ts";
import { InvalidValueError } from "./invalid-value-error.ts";
import { LeafCertificate } from "./leaf-certificate.ts";
import { joinCertificates } from "./pem-bundle.ts";
import { protectComponent } from "./protection.ts";
import { bundleProxy, proxyNodeArguments } from "./proxy-bundle.ts";
import { checkProxyAddresses, checkProxyName, checkProxyWorkers, renderProxyConfig } from "./proxy-config.ts";
import { configurationHash } from "./proxy-version.ts";
import type { ProxyConfigFile, ProxyWorkers } from "./proxy-config.ts";

/** The authorities an access proxy works with. */
export interface ProxyAuthorities {
  /** Signs the certificate that the proxy shows to clients. */
  readonly proxy: CertificateAuthority<"proxy">;
  /** Signed the certificates of the users whom the proxy lets in. */
  readonly user: CertificateAuthority<"user">;
  /** With its key the proxy signs the ephemeral certificates that it shows to Redis. */
  readonly dbClient: CertificateAuthority<"db_client">;
  /** Verifies the nodes of the cluster. */
  readonly redis: CertificateAuthority<"redis">;
  /** Verifies databases that bring no authority of their own. */
  readonly db: CertificateAuthority<"db">;
}

/** Inputs of {@link AccessProxy}. */
export interface AccessProxyArgs {
  /** The machine that it runs on. */
  readonly host: Host;
  /** Absolute path of the proxy's own directory. All it holds is deleted with the proxy, the audit log too unless `keepAudit` is set. */
  readonly directory: pulumi.Input<string>;
  /** All five, each of its own kind. */
  readonly authorities: ProxyAuthorities;
  /** Address of the database's listener. Default 127.0.0.1:7379. */
  readonly listen?: NodeAddress;
  /** Loopback address of /healthz, /readyz, /version and /metrics. Default 127.0.0.1:7390. */
  readonly admin?: NodeAddress;
  /** Name of the database in the proxy. Default: the component's name. */
  readonly databaseName?: pulumi.Input<string>;
  /** What roles select the database by, such as `env`. Default: none. */
  readonly labels?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /** Nodes of the cluster; the proxy finds the others, and its way when one of these is down. */
  readonly seeds: pulumi.Input<readonly NodeAddress[]>;
  /** The proxy starts only after these, such as the cluster it leads to. */
  readonly startAfter?: readonly pulumi.Resource[];
  /** Redis user that reads the topology and the command table: `proxy` of a RedisCluster. */
  readonly serviceUser: pulumi.Input<string>;
  /** Of the service user; kept in a file of mode 0600. */
  readonly servicePassword: pulumi.Input<string>;
  /** Which commands the audit log holds. Default `all`. */
  readonly auditCommands?: pulumi.Input<"all" | "denied" | "none">;
  /** Any text; another one makes another key and certificate for its listener. Default `1`. */
  readonly certificateRevision?: pulumi.Input<string>;
  /** Processes that serve clients, from 1 to 256, or `auto` for the cores of the host. Another number takes another process of the proxy. Default 1. */
  readonly workers?: ProxyWorkers;
  /** Whether audit.log stays when the proxy is destroyed. Default false. */
  readonly keepAudit?: boolean;
  /** Whether `pulumi destroy` is refused before any of it is deleted. Default: whether one of its authorities is protected. */
  readonly refuseDestroy?: boolean;
}

const defaultListen: NodeAddress = { host: "127.0.0.1", port: 7379 };
const defaultAdmin: NodeAddress = { host: "127.0.0.1", port: 7390 };

/** The access proxy: one bundled program with its configuration, certificates and keys, kept running. */
export class AccessProxy extends pulumi.ComponentResource {
  /** Where it listens for clients. */
  readonly listen: NodeAddress;
  /** Known once the proxy is ready; whoever uses the address finds it listening. */
  readonly address: pulumi.Output<NodeAddress>;
  /** Refuses `pulumi destroy` for it; what refuses for the whole program is to depend on it. */
  readonly protection: pulumi.Resource;

  /**
   * @param name also that of the proxy itself, in its logs and in the common names of its certificates: 1 to 64 letters,
   *   digits, dots, hyphens and underscores
   * @throws {InvalidValueError} an authority of another kind than its place asks for, a name that is none, an address that
   *   it cannot listen at
   */
  constructor(name: string, args: AccessProxyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:AccessProxy", name, {}, opts);
    const { listen = defaultListen, admin = defaultAdmin, databaseName = name, workers = 1 } = args;
    // All of it before the first part is declared: a mistake leaves nothing half made.
    checkAuthorityKinds(args.authorities);
    checkProxyName("name", name);
    if (typeof databaseName === "string") checkProxyName("databaseName", databaseName);
    if (Array.isArray(args.seeds)) checkSeeds(args.seeds);
    checkProxyAddresses(listen, admin, { listen: "listen", admin: "admin" });
    checkProxyWorkers("workers", workers);
    this.listen = listen;
    const at = (file: string): pulumi.Output<string> => pulumi.interpolate`${args.directory}/${file}`;
    const certificate = new LeafCertificate(
      `${name}-tls`,
      { authority: args.authorities.proxy, commonName: name, ipAddresses: [listen.host], dnsNames: listen.host === "127.0.0.1" ? ["localhost"] : [], revision: args.certificateRevision },
      { parent: this },
    );
    const contents = this.#renderFiles(name, args, admin, certificate);
    const own = args.host.directory(`${name}-directory`, { path: args.directory, purge: true, keep: args.keepAudit === true ? ["audit.log"] : [] }, { parent: this });
    const inside = { parent: this, dependsOn: [own] };
    const files = Object.entries(contents).map(([file, content]) => args.host.file(`${name}-${file}`, { path: at(file), content, mode: "0600" }, inside));
    const bundle = bundleProxy();
    files.push(args.host.file(`${name}-proxy.mjs`, { path: at("proxy.mjs"), source: bundle.path, sourceSha256: bundle.sha256, mode: "0600" }, inside));
    const running = args.host.process(
      `${name}-process`,
      {
        program: process.execPath,
        args: [...proxyNodeArguments, at("proxy.mjs"), "--config", at("proxy.yaml"), "--successor", at("successor.json")],
        directory: args.directory,
        logFile: at("proxy.log"),
        recordFile: at("proxy.process"),
        privateFiles: [at("audit.log")],
        listens: [this.listen, admin],
        readyHttp: `http://${hostPort(admin)}/readyz`,
        proxyDeclaration: {
          url: `http://${hostPort(admin)}/version`,
          program: bundle.sha256,
          // No secret, though texts of it are: components/content-hash.ts says why.
          configuration: pulumi.unsecret(pulumi.all(contents).apply((texts) => configurationHash(texts))),
        },
        successorFile: at("successor.json"),
        restartOn: { "proxy.mjs": bundle.sha256, workers: String(workers) },
        reloadOn: Object.fromEntries(Object.entries(contents).map(([file, content]) => [file, contentHash(content)])),
      },
      { parent: this, dependsOn: [...files, ...(args.startAfter ?? [])] },
    );
    this.protection = protectComponent(name, { what: "proxy", on: args.refuseDestroy, authorities: Object.values<CertificateAuthority>({ ...args.authorities }), parts: [running, certificate] }, opts);
    this.address = running.urn.apply(() => this.listen);
    this.registerOutputs({ address: this.address });
  }

  /** The address as clients take it: `rediss://user@host:port`, never with a password. */
  uri(user?: string): pulumi.Output<string> {
    return this.address.apply((address) => clientUri(user, address));
  }

  #renderFiles(name: string, args: AccessProxyArgs, admin: NodeAddress, certificate: LeafCertificate): Readonly<Record<string, pulumi.Output<string>>> {
    const { authorities } = args;
    const config = pulumi
      .all([args.seeds, args.databaseName, args.labels, args.serviceUser, args.auditCommands])
      .apply(([seeds, databaseName, labels, serviceUser, commands]) =>
        renderProxyConfig(configFile({ name, listen: this.listen, admin, seeds, databaseName: databaseName ?? name, labels: labels ?? {}, serviceUser, commands: commands ?? "all", workers: args.workers ?? 1 })),
      );
    return {
      "proxy.yaml": config,
      "server.crt": certificate.certPem,
      "server.key": certificate.keyPem,
      "user-ca.crt": authorities.user.trustedByServers.apply(joinCertificates),
      "db-client-ca.crt": authorities.dbClient.certPem,
      "db-client-ca.key": authorities.dbClient.keyPem,
      "db-ca.crt": authorities.db.trustedByClients.apply(joinCertificates),
      "redis-ca.crt": authorities.redis.trustedByClients.apply(joinCertificates),
      "proxy.password": pulumi.secret(args.servicePassword),
    };
  }
}

interface Settled {
  readonly name: string;
  readonly listen: NodeAddress;
  readonly admin: NodeAddress;
  readonly seeds: readonly NodeAddress[];
  readonly databaseName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceUser: string;
  readonly commands: "all" | "denied" | "none";
  readonly workers: ProxyWorkers;
}

function configFile(settled: Settled): ProxyConfigFile {
  const [first, ...others] = checkSeeds(settled.seeds);
  return {
    name: settled.name,
    tls: { cert_file: "server.crt", key_file: "server.key", client_ca_file: "user-ca.crt" },
    db_client: { ca_cert_file: "db-client-ca.crt", ca_key_file: "db-client-ca.key" },
    db: { ca_cert_file: "db-ca.crt" },
    admin: { listen: hostPort(settled.admin) },
    audit: { file: "audit.log", commands: settled.commands },
    workers: settled.workers,
    databases: [
      {
        name: settled.databaseName,
        protocol: "redis",
        uri: `rediss://${hostPort(first)}?mode=cluster`,
        nodes: others.map(hostPort),
        static_labels: settled.labels,
        tls: { ca_cert_file: "redis-ca.crt" },
        listen: hostPort(settled.listen),
        profile: "guide",
        service_user: { name: settled.serviceUser, password_file: "proxy.password" },
      },
    ],
  };
}

function checkSeeds(seeds: readonly NodeAddress[]): readonly [NodeAddress, ...NodeAddress[]] {
  const [first, ...others] = seeds;
  if (first === undefined) throw new InvalidValueError("seeds", "is empty; expected at least one node of the cluster");
  return [first, ...others];
}

function hostPort({ host, port }: NodeAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function checkAuthorityKinds(authorities: ProxyAuthorities): void {
  const expected: Readonly<Record<keyof ProxyAuthorities, AuthorityKind>> = { proxy: "proxy", user: "user", dbClient: "db_client", redis: "redis", db: "db" };
  for (const [place, kind] of Object.entries(expected) as [keyof ProxyAuthorities, AuthorityKind][]) checkAuthorityKind(`authorities.${place}`, authorities[place], kind);
}
