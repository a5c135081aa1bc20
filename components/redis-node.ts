import * as pulumi from "@pulumi/pulumi";
import type { CertificateAuthority } from "./authority.ts";
import type { NodeAddress } from "./cluster-plan.ts";
import { contentHash } from "./content-hash.ts";
import type { Host, HostProcess } from "./host.ts";
import { NodeCertificate } from "./node-certificate.ts";
import { joinCertificates } from "./pem-bundle.ts";
import { busPortOffset, checkRedisParameters, renderRedisConf } from "./redis-conf.ts";
import type { RedisParameter } from "./redis-conf.ts";
import type { NodeLogin } from "./provider/resources.ts";
import type { TrustBundle } from "./trust-bundle.ts";

/** A Redis user and its password. */
export interface RedisLogin {
  readonly user: pulumi.Input<string>;
  readonly password: pulumi.Input<string>;
}

/** Settings that all nodes of a cluster share. */
export interface RedisNodeSettings {
  /** Milliseconds after which a silent node counts as failed. Default 5000. */
  readonly nodeTimeoutMs?: pulumi.Input<number>;
  /** Whether a node asks every client for a certificate (`yes`, the default) or may do without (`optional`). */
  readonly tlsAuthClients?: pulumi.Input<"yes" | "optional">;
  /** Additional `redis.conf` parameters by name. */
  readonly parameters?: pulumi.Input<Record<string, RedisParameter>>;
  /** Absolute path of redis-server. Default /usr/bin/redis-server. */
  readonly redisServer?: pulumi.Input<string>;
  /** Any text; another one makes another key and certificate for each node. Default `1`. */
  readonly certificateRevision?: pulumi.Input<string> | undefined;
  /** Whether the node's data directory stays when the node is destroyed. Default false. */
  readonly keepData?: boolean;
}

/** Inputs of {@link RedisNode}. */
export interface RedisNodeArgs extends RedisNodeSettings {
  /** The machine that it runs on. */
  readonly host: Host;
  /** IP address and TLS port. */
  readonly address: NodeAddress;
  /** Absolute path of the node's own directory. All it holds is deleted with the node. */
  readonly directory: pulumi.Input<string>;
  /** The Redis CA, which signs the node's certificate. */
  readonly redisAuthority: CertificateAuthority<"redis">;
  /** What it trusts, of clients and of peers. */
  readonly bundle: TrustBundle;
  /** Text of `users.acl`. */
  readonly usersAcl: pulumi.Input<string>;
  /** Whom the node logs in as at its master. */
  readonly replication: RedisLogin;
  /** Whom readiness is asked as. */
  readonly provisioner: RedisLogin;
  /**
   * The other nodes of its cluster. Of all of them one is restarted at a time; and while they hold this one for a master, one of
   * its replicas takes over before it is stopped or started.
   */
  readonly peers?: readonly NodeAddress[];
  /** Where it is written down that its cluster is formed; as long as it is, the node is not deleted while the cluster lives on it. */
  readonly clusterFile?: pulumi.Input<string>;
  /** The directory that the node's own stands in, where it is made by the stack too. */
  readonly parentDirectory?: pulumi.Resource;
}

/** Default of `redisServer`: where Debian puts it. */
export const defaultRedisServer = "/usr/bin/redis-server";

/** One redis-server with its files: certificate, bundle, users, configuration, data. It joins no cluster by itself. */
export class RedisNode extends pulumi.ComponentResource {
  /** IP address and TLS port. */
  readonly address: NodeAddress;
  /** The running redis-server, for what must start after it. */
  readonly process: HostProcess;
  /** How to log in to it from this machine, as the provisioner. */
  readonly login: NodeLogin;

  constructor(name: string, args: RedisNodeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:RedisNode", name, {}, opts);
    // At once where it can be: inside an apply it would fail only after other parts were changed.
    if (isPlain(args.parameters)) checkRedisParameters("parameters", args.parameters);
    this.address = args.address;
    const { host: ip, port } = args.address;
    const certificate = new NodeCertificate(`${name}-tls`, { authority: args.redisAuthority, host: ip, revision: args.certificateRevision }, { parent: this });
    const at = (file: string): pulumi.Output<string> => pulumi.interpolate`${args.directory}/${file}`;
    const verifiers = args.redisAuthority.trustedByClients.apply(joinCertificates);
    this.login = { caFile: at("ca.crt"), certFile: at("server.crt"), keyFile: at("server.key"), pem: { ca: verifiers, cert: certificate.certPem, key: certificate.keyPem }, ...args.provisioner, password: pulumi.secret(args.provisioner.password) };
    const redisConf = renderConf(args);
    const contents = {
      "server.crt": certificate.certPem,
      "server.key": certificate.keyPem,
      "ca.crt": verifiers,
      "pem-bundle.cas": args.bundle.pem,
      "users.acl": args.usersAcl,
      "redis.conf": redisConf,
    };
    const { files, data } = this.#placeFiles(name, args, contents);
    this.process = args.host.process(
      `${name}-process`,
      {
        program: args.redisServer ?? defaultRedisServer,
        args: [at("redis.conf")],
        directory: at("data"),
        logFile: at("redis.log"),
        recordFile: at("redis-server.process"),
        listens: [
          { host: ip, port },
          { host: ip, port: port + busPortOffset },
        ],
        readyRedis: { host: ip, port, ...this.login },
        nodeDeclaration: { conf: redisConf, acl: args.usersAcl, certificate: certificate.certPem },
        clusterPeers: [...(args.peers ?? [])],
        ...(args.clusterFile !== undefined && { clusterFile: args.clusterFile }),
        readyLimitSeconds: 60,
        // No reason for a restart: the node is told what differs, and restarted only where Redis fixes a parameter at its start.
        reloadOn: {
          "redis.conf": contentHash(redisConf),
          "users.acl": contentHash(args.usersAcl),
          "pem-bundle.cas": contentHash(args.bundle.pem),
          "server.crt": contentHash(certificate.certPem),
        },
      },
      { parent: this, dependsOn: [...files, data] },
    );
    this.registerOutputs({ address: this.address });
  }

  #placeFiles(name: string, args: RedisNodeArgs, contents: Readonly<Record<string, pulumi.Input<string>>>): { files: pulumi.Resource[]; data: pulumi.Resource } {
    const keep = args.keepData ?? false;
    const own = args.host.directory(`${name}-directory`, { path: args.directory, purge: true, keep: keep ? ["data"] : [] }, { parent: this, dependsOn: args.parentDirectory });
    const inside = { parent: this, dependsOn: [own] };
    const data = args.host.directory(`${name}-data`, { path: pulumi.interpolate`${args.directory}/data`, purge: !keep }, inside);
    const files = Object.entries(contents).map(([file, content]) =>
      args.host.file(`${name}-${file}`, { path: pulumi.interpolate`${args.directory}/${file}`, content, mode: "0600" }, inside),
    );
    return { files, data };
  }
}

/** Whether parameters are known while the program runs, and so can be checked at once. */
export function isPlain(parameters: RedisNodeArgs["parameters"]): parameters is Record<string, RedisParameter> {
  return parameters !== undefined && !pulumi.Output.isInstance(parameters) && !(parameters instanceof Promise);
}

function renderConf({ address, directory, replication, ...settings }: RedisNodeArgs): pulumi.Output<string> {
  const password = pulumi.secret(replication.password);
  return pulumi
    .all([directory, replication.user, password, settings.tlsAuthClients, settings.nodeTimeoutMs, settings.parameters])
    .apply(([path, masterUser, masterPassword, tlsAuthClients, nodeTimeoutMs, parameters]) =>
      renderRedisConf({
        host: address.host,
        port: address.port,
        dataDirectory: `${path}/data`,
        logFile: `${path}/redis.log`,
        aclFile: `${path}/users.acl`,
        certFile: `${path}/server.crt`,
        keyFile: `${path}/server.key`,
        caFile: `${path}/pem-bundle.cas`,
        ...{ masterUser, masterPassword, tlsAuthClients, nodeTimeoutMs, parameters },
      }),
    );
}
