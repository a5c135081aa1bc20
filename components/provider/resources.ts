import * as pulumi from "@pulumi/pulumi";
import type { Finding } from "../drift.ts";

/** Where a node's mutual TLS login is found: files on this machine, and a Redis user. */
export interface NodeLogin {
  /** PEM file of the CA that signed the nodes' certificates. */
  readonly caFile: pulumi.Input<string>;
  readonly certFile: pulumi.Input<string>;
  readonly keyFile: pulumi.Input<string>;
  /** What these files must hold: what is asked of a node does not depend on files that may be damaged. */
  readonly pem?: pulumi.Input<{ ca: pulumi.Input<string>; cert: pulumi.Input<string>; key: pulumi.Input<string> }>;
  readonly user: pulumi.Input<string>;
  readonly password: pulumi.Input<string>;
}

/** What the markers of directories call the stack that this program makes: two environments never share a directory. */
export function stackName(): string {
  return `${pulumi.getProject()}/${pulumi.getStack()}`;
}

/**
 * For things that have a place in the world: the new one cannot stand beside the old. The provider says so where it has one
 * replaced, but is not asked where a person does (`pulumi up --replace`): then the old one would be removed after the new one was
 * found in its place.
 */
function inPlace(opts: pulumi.CustomResourceOptions | undefined): pulumi.CustomResourceOptions {
  return pulumi.mergeOptions({ deleteBeforeReplace: true }, opts);
}

/** Inputs of {@link Directory}. */
export interface DirectoryArgs {
  /** Absolute path. */
  readonly path: pulumi.Input<string>;
  /** Four octal digits; default 0700. */
  readonly mode?: pulumi.Input<string>;
  /** Whether all it holds is deleted with it; otherwise it is deleted only when empty. Default false. */
  readonly purge?: pulumi.Input<boolean>;
  /** Entries that a purge leaves. */
  readonly keep?: pulumi.Input<pulumi.Input<string>[]>;
}

/** A directory that is made and removed with the stack, and belongs to it alone. It must be empty or absent at first, or left by this toolkit. */
export class Directory extends pulumi.CustomResource {
  /** Absolute path; known once it stands. */
  declare readonly path: pulumi.Output<string>;

  constructor(name: string, args: DirectoryArgs, opts?: pulumi.CustomResourceOptions) {
    super("redisaccess:index:Directory", name, { stack: stackName(), ...args }, inPlace(opts));
  }
}

/** Inputs of {@link File}; exactly one of `content` and `source`. */
export interface FileArgs {
  /** Absolute path. */
  readonly path: pulumi.Input<string>;
  /** Its whole text; secret where it holds a secret. */
  readonly content?: pulumi.Input<string>;
  /** Absolute path of a local file to copy: for what is too large for the state. Needs `sourceSha256`. */
  readonly source?: pulumi.Input<string>;
  /** SHA-256 of `source` in hex: what is copied must be what was declared. */
  readonly sourceSha256?: pulumi.Input<string>;
  /** Four octal digits; default 0600. */
  readonly mode?: pulumi.Input<string>;
  /** `uid:gid`; default whoever runs the provider. */
  readonly owner?: pulumi.Input<string>;
}

/** A file whose content, mode and owner are held as declared. It is written atomically. */
export class File extends pulumi.CustomResource {
  /** Absolute path; known once it stands. */
  declare readonly path: pulumi.Output<string>;
  /** SHA-256 of its content in hex. */
  declare readonly sha256: pulumi.Output<string>;

  constructor(name: string, args: FileArgs, opts?: pulumi.CustomResourceOptions) {
    super("redisaccess:index:File", name, { ...args, sha256: undefined }, inPlace(opts));
  }
}

/** Inputs of {@link Process}; exactly one of the `ready…` probes. */
export interface ProcessArgs {
  /** Absolute path of the program. */
  readonly program: pulumi.Input<string>;
  /** Arguments; every user of the machine can read them. Default: none. */
  readonly args?: pulumi.Input<pulumi.Input<string>[]>;
  /** Working directory. */
  readonly directory: pulumi.Input<string>;
  /** The whole environment, but for a plain PATH. */
  readonly environment?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /** Standard output and error are appended to it; mode 0600. */
  readonly logFile: pulumi.Input<string>;
  /** Where the process is recorded, to be found again. */
  readonly recordFile: pulumi.Input<string>;
  /** Addresses it listens on; if another program holds one, `pulumi preview` refuses. */
  readonly listens?: pulumi.Input<pulumi.Input<{ host: pulumi.Input<string>; port: pulumi.Input<number> }>[]>;
  /** Ready when `host:port` accepts a connection. */
  readonly readyTcp?: pulumi.Input<string>;
  /** Ready when a GET of this URL is answered with 200. */
  readonly readyHttp?: pulumi.Input<string>;
  /** Ready when this Redis node answers; after a restart also its cluster must be well again. */
  readonly readyRedis?: pulumi.Input<{ host: pulumi.Input<string>; port: pulumi.Input<number> } & NodeLogin>;
  /** What the node of `readyRedis` must show while it runs: texts of redis.conf and users.acl, PEM of its certificate. */
  readonly nodeDeclaration?: pulumi.Input<{ conf: pulumi.Input<string>; acl: pulumi.Input<string>; certificate: pulumi.Input<string> }>;
  /** What a proxy must answer at its `/version` while it runs: SHA-256 of its program, and over all files that it has read. */
  readonly proxyDeclaration?: pulumi.Input<{ url: pulumi.Input<string>; program: pulumi.Input<string>; configuration: pulumi.Input<string> }>;
  /** The other nodes of the cluster that the node of `readyRedis` belongs to: one of them takes over before it is stopped or started. */
  readonly clusterPeers?: pulumi.Input<pulumi.Input<{ host: pulumi.Input<string>; port: pulumi.Input<number> }>[]>;
  /** Further files that it writes itself and that only its owner may read, as its log. */
  readonly privateFiles?: pulumi.Input<pulumi.Input<string>[]>;
  /** Where it is written down that this cluster is formed: as long as it is, a node that the cluster lives on is not deleted. */
  readonly clusterFile?: pulumi.Input<string>;
  /**
   * An absolute path among its arguments, where it finds at SIGUSR2 what to start in its place, as JSON of `command` and
   * `environment`; it hands its listening sockets over, and ends once its successor takes clients. Without it, it ends first.
   */
  readonly successorFile?: pulumi.Input<string>;
  /** Default 30. */
  readonly readyLimitSeconds?: pulumi.Input<number>;
  /** Seconds from SIGTERM to SIGKILL; default 20. */
  readonly stopLimitSeconds?: pulumi.Input<number>;
  /** Hashes of what it must be restarted for when it changes. */
  readonly restartOn?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /** Hashes of what a node or a proxy is told while it runs; it is restarted only where that is not enough. */
  readonly reloadOn?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

/** A program that runs until the stack says otherwise, whoever's shell started it. */
export class Process extends pulumi.CustomResource {
  /** Process id; 0 where it was found ended. */
  declare readonly pid: pulumi.Output<number>;
  /** `running`, or what else was found. */
  declare readonly state: pulumi.Output<string>;
  /** How it differs from its declaration. */
  declare readonly drift: pulumi.Output<Finding[]>;

  constructor(name: string, args: ProcessArgs, opts?: pulumi.CustomResourceOptions) {
    super("redisaccess:index:Process", name, { ...args, pid: undefined, state: undefined, drift: undefined }, inPlace(opts));
  }
}

/** Inputs of {@link Protection}. */
export interface ProtectionArgs {
  /** Whether `pulumi destroy` is refused. */
  readonly on: pulumi.Input<boolean>;
  /** What refuses, in a word. Default: `stack`. */
  readonly what?: pulumi.Input<string>;
  /** Sentences for whoever is refused: how to lift the protection. */
  readonly howToLift: pulumi.Input<string>;
}

/**
 * Refuses `pulumi destroy` before anything is deleted. With Pulumi's `protect` alone the engine deletes all that depends on
 * a protected authority first, nodes and data among it, and then refuses. Must depend on everything (`dependsOn`).
 */
export class Protection extends pulumi.CustomResource {
  constructor(name: string, args: ProtectionArgs, opts: pulumi.CustomResourceOptions) {
    super("redisaccess:index:Protection", name, { ...args }, opts);
  }
}

/** Inputs of {@link Password}. */
export interface PasswordArgs {
  /** Any text; another one makes another password. */
  readonly revision?: pulumi.Input<string>;
}

/** 32 random bytes in hex; a secret that exists in the stack's state only. */
export class Password extends pulumi.CustomResource {
  /** 64 hexadecimal digits. */
  declare readonly value: pulumi.Output<string>;

  constructor(name: string, args: PasswordArgs = {}, opts?: pulumi.CustomResourceOptions) {
    super("redisaccess:index:Password", name, { ...args, value: undefined }, pulumi.mergeOptions(opts, { additionalSecretOutputs: ["value"] }));
  }
}

/** Inputs of {@link CertificateTerm}. */
export interface CertificateTermArgs {
  /** Whose certificate it is, for people. */
  readonly subject: pulumi.Input<string>;
  /** How long the certificate is valid. */
  readonly validityHours: pulumi.Input<number>;
  /** Hash of the authority that signs it. */
  readonly authority: pulumi.Input<string>;
  /** Any text; another one begins another term. Default `1`. */
  readonly revision?: pulumi.Input<string> | undefined;
}

/** The term of one certificate: it begins anew whenever the certificate must be made anew, and when two thirds of it are over. */
export class CertificateTerm extends pulumi.CustomResource {
  /** When it began, ISO 8601. */
  declare readonly begun: pulumi.Output<string>;

  constructor(name: string, args: CertificateTermArgs, opts?: pulumi.CustomResourceOptions) {
    super("redisaccess:index:CertificateTerm", name, { ...args, begun: undefined, drift: undefined }, opts);
  }
}

/** Inputs of {@link ClusterDeclaration}. */
export interface ClusterDeclarationArgs {
  /** All nodes, masters and replicas together. */
  readonly nodes: pulumi.Input<pulumi.Input<{ host: pulumi.Input<string>; port: pulumi.Input<number> }>[]>;
  /** Replicas of each master. */
  readonly replicasPerMaster: pulumi.Input<number>;
  /** Absolute path; holds a directory for each node, named by its port. */
  readonly directory: pulumi.Input<string>;
}

/** What a cluster is declared to be, and which nodes it had before. What cannot be done is refused before any node that depends on this is touched. */
export class ClusterDeclaration extends pulumi.CustomResource {
  /** Nodes that were declared before and are not now. */
  declare readonly former: pulumi.Output<{ host: string; port: number }[]>;

  constructor(name: string, args: ClusterDeclarationArgs, opts?: pulumi.CustomResourceOptions) {
    super("redisaccess:index:ClusterDeclaration", name, { ...args, former: undefined }, opts);
  }
}

/** Inputs of {@link ClusterFormation}. */
export interface ClusterFormationArgs extends NodeLogin {
  /** All nodes, in the order in which redis-cli makes masters of the first. */
  readonly nodes: pulumi.Input<pulumi.Input<{ host: pulumi.Input<string>; port: pulumi.Input<number> }>[]>;
  /** Nodes that were declared before and are not now: what of them is still a member gives its slots away and leaves. Default: none. */
  readonly former?: pulumi.Input<pulumi.Input<{ host: pulumi.Input<string>; port: pulumi.Input<number> }>[]>;
  /** Process ids of the nodes: whenever one has been started anew, the formation is looked at again. */
  readonly memberPids?: pulumi.Input<pulumi.Input<number>[]>;
  /** Replicas of each master; default 1. */
  readonly replicasPerMaster?: pulumi.Input<number>;
  /** Absolute path; default /usr/bin/redis-cli. */
  readonly redisCli?: pulumi.Input<string>;
  /** Where a running redis-cli is recorded. */
  readonly recordFile: pulumi.Input<string>;
  /** Where it is written down that the cluster is formed, and what it is on its way to. */
  readonly clusterFile?: pulumi.Input<string>;
  /** Limit in seconds for a first formation, and for a later change to get no further; a replica that copies its master's data may take longer. 10 to 3600, default 180. */
  readonly limitSeconds?: pulumi.Input<number>;
}

/** Running nodes joined to one cluster: formed, adopted if it is as declared, completed if a run was interrupted; brought to other nodes or replicas while it serves. */
export class ClusterFormation extends pulumi.CustomResource {
  /** Node ids in the order of the nodes. */
  declare readonly nodeIds: pulumi.Output<string[]>;

  constructor(name: string, args: ClusterFormationArgs, opts?: pulumi.CustomResourceOptions) {
    super("redisaccess:index:ClusterFormation", name, { ...args, nodeIds: undefined, drift: undefined }, inPlace(opts));
  }
}
