import * as pulumi from "@pulumi/pulumi";
import { checkAuthorityKind } from "./authority.ts";
import type { CertificateAuthority } from "./authority.ts";
import { clientUri } from "./client-uri.ts";
import { checkClusterDeclaration, checkPortsDiffer, defaultNodes } from "./cluster-plan.ts";
import type { NodeAddress } from "./cluster-plan.ts";
import type { Host } from "./host.ts";
import { InvalidValueError } from "./invalid-value-error.ts";
import { protectComponent } from "./protection.ts";
import { ClusterDeclaration, ClusterFormation, Password } from "./provider/resources.ts";
import { checkRedisParameters, isSwitchedOn } from "./redis-conf.ts";
import { defaultRedisServer, isPlain, RedisNode } from "./redis-node.ts";
import type { RedisNodeArgs, RedisNodeSettings } from "./redis-node.ts";
import { examineRedisServer } from "./redis-server.ts";
import { passwordGenerations, unrotated } from "./rotation.ts";
import type { Rotation } from "./rotation.ts";
import { TrustBundle } from "./trust-bundle.ts";
import { checkDeclaredUsers, fullAccessRules, renderUsersAcl, systemUserRules } from "./users-acl.ts";
import type { DeclaredUser, SystemUserName } from "./users-acl.ts";

/** Inputs of {@link RedisCluster}. How many nodes and users there are is decided in the program, so these are no Inputs. */
export interface RedisClusterArgs extends RedisNodeSettings {
  /** The machine that all nodes run on. */
  readonly host: Host;
  /** Absolute path; each node gets a directory below it, named by its port. */
  readonly directory: pulumi.Input<string>;
  /** The Redis CA: signs the nodes' certificates. */
  readonly redisAuthority: CertificateAuthority<"redis">;
  /** The db_client CA: signed the certificates of the clients that the nodes let in. */
  readonly dbClientAuthority: CertificateAuthority<"db_client">;
  /** Default: 127.0.0.1:7001 to 7006. */
  readonly nodes?: readonly NodeAddress[];
  /** Default 1. */
  readonly replicasPerMaster?: number;
  /** Default: `alice`, who may do everything. */
  readonly users?: readonly DeclaredUser[];
  /** How far the rotation of a user's password is, by the user's name, the toolkit's own among them. Default: never rotated. */
  readonly passwordRotations?: Readonly<Record<string, Rotation>>;
  /** Absolute path of redis-cli. Default /usr/bin/redis-cli. */
  readonly redisCli?: pulumi.Input<string>;
  /** Whether `pulumi destroy` is refused before any of it is deleted. Default: whether one of its two authorities is protected. */
  readonly refuseDestroy?: boolean;
}

/** A node as the stack's outputs show it. */
export interface ClusterNode {
  readonly host: string;
  readonly port: number;
  readonly id: string;
}

type OwnNodeArgs = Pick<RedisNodeArgs, "address" | "bundle" | "usersAcl" | "parentDirectory">;

/** The passwords of one user. */
interface UserPasswords {
  /** All that let the user in, the oldest first. */
  readonly valid: readonly pulumi.Output<string>[];
  readonly used: pulumi.Output<string>;
}

const systemUsers = Object.keys(systemUserRules) as SystemUserName[];

/** A Redis Cluster with mutual TLS everywhere: its users, its nodes, and their formation. */
export class RedisCluster extends pulumi.ComponentResource {
  /** Host, port and node id in the declared order; known once the cluster is formed. */
  readonly nodes: pulumi.Output<ClusterNode[]>;
  /** `rediss://user@host:port` of the first node, for cluster clients. */
  readonly uri: pulumi.Output<string>;
  /** Names of the declared users, without the system's own. */
  readonly users: readonly string[];
  /** Passwords of all users by name, the system's own among them; secret. Of one that is rotated, the one to be used. */
  readonly passwords: pulumi.Output<Record<string, string>>;
  /** Refuses `pulumi destroy` for it; what refuses for the whole program is to depend on it. */
  readonly protection: pulumi.Resource;
  readonly #used: ReadonlyMap<string, pulumi.Output<string>>;

  /** @throws {InvalidValueError} a declaration that cannot be formed, or could not fail over */
  constructor(name: string, args: RedisClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:RedisCluster", name, {}, opts);
    const { nodes = defaultNodes, replicasPerMaster = 1, users = [{ name: "alice" }] } = args;
    // All of it before the first part is declared: a mistake leaves nothing half made.
    checkAuthorityKind("redisAuthority", args.redisAuthority, "redis");
    checkAuthorityKind("dbClientAuthority", args.dbClientAuthority, "db_client");
    checkClusterDeclaration({ nodes, replicasPerMaster });
    checkPortsDiffer(nodes);
    checkDeclaredUsers(users, (index) => `users[${index}]`);
    if (isPlain(args.parameters)) checkRedisParameters("parameters", args.parameters);
    this.users = users.map((user) => user.name);
    const passwords = this.#makePasswords(name, args.passwordRotations ?? {});
    this.#used = new Map([...passwords].map(([user, { used }]) => [user, pulumi.secret(used)]));
    this.passwords = pulumi.secret(Object.fromEntries(this.#used));
    const valid = pulumi.secret(Object.fromEntries([...passwords].map(([user, each]) => [user, each.valid])));
    const usersAcl = this.#renderUsers(users, valid, examineRedisServer(args.redisServer ?? defaultRedisServer, args.parameters, { parent: this }), args.parameters);
    const bundle = new TrustBundle(`${name}-bundle`, args, { parent: this });
    const declaration = new ClusterDeclaration(`${name}-declaration`, { nodes: [...nodes], replicasPerMaster, directory: args.directory }, { parent: this });
    const parentDirectory = args.host.directory(`${name}-directory`, { path: args.directory }, { parent: this, dependsOn: declaration });
    // No order among them: who must be restarted before whom is a matter of their roles then (provider/rollout.ts).
    const members = nodes.map((address) => this.#makeNode(name, args, { address, bundle, usersAcl, parentDirectory }, declaration));
    const first = members[0]!;
    const formation = new ClusterFormation(
      `${name}-formation`,
      { ...first.login, nodes: [...nodes], former: declaration.former, memberPids: members.map(({ process }) => process.pid), replicasPerMaster, redisCli: args.redisCli, recordFile: pulumi.interpolate`${args.directory}/${nodes[0]!.port}/redis-cli.process`, clusterFile: clusterFileIn(args) },
      { parent: this, dependsOn: members.map((member) => member.process) },
    );
    this.protection = protectComponent(name, { what: "cluster", on: args.refuseDestroy, authorities: [args.redisAuthority, args.dbClientAuthority], parts: [...members, formation] }, opts);
    this.nodes = formation.nodeIds.apply((ids) => nodes.map(({ host, port }, index) => ({ host, port, id: ids[index] ?? "" })));
    // Waits for the formation: whoever uses the address finds a cluster there.
    this.uri = formation.nodeIds.apply(() => clientUri(this.users[0], nodes[0]!));
    this.registerOutputs({ nodes: this.nodes, uri: this.uri });
  }

  /**
   * The password of one user, the system's own users among them, as `passwords` has it. A preview that adds another user does not
   * know `passwords`, but it knows this: what follows from it is shown as it will be.
   *
   * @throws {InvalidValueError} no such user
   */
  passwordOf(user: string): pulumi.Output<string> {
    const password = this.#used.get(user);
    if (password === undefined) throw new InvalidValueError("user", `${JSON.stringify(user)} is none of ${[...this.#used.keys()].join(", ")}`);
    return password;
  }

  #makePasswords(name: string, rotations: Readonly<Record<string, Rotation>>): ReadonlyMap<string, UserPasswords> {
    const made = [...this.users, ...systemUsers].map((user): [string, UserPasswords] => {
      const { valid, used } = passwordGenerations(rotations[user] ?? unrotated);
      // The first has no number: so it was called before there were rotations. A user's name may end in one.
      const passwords = valid.map((generation) => new Password(`${name}-password${generation === 1 ? "" : generation}-${user}`, {}, { parent: this }).value);
      return [user, { valid: passwords, used: passwords[valid.indexOf(used)]! }];
    });
    return new Map(made);
  }

  #renderUsers(users: readonly DeclaredUser[], valid: pulumi.Output<Readonly<Record<string, readonly string[]>>>, version: pulumi.Output<readonly [number, number]>, parameters: RedisClusterArgs["parameters"]): pulumi.Output<string> {
    const text = pulumi.all([valid, version, parameters]).apply(([passwords, redisVersion, declaredParameters]) => {
      const declared = users.map((user) => ({ name: user.name, passwords: passwords[user.name]!, rules: user.rules ?? fullAccessRules }));
      const system = systemUsers.map((user) => ({ name: user, passwords: passwords[user]!, rules: systemUserRules[user].map(({ rule }) => rule) }));
      return renderUsersAcl([...declared, ...system], { redisVersion, appendOnly: isSwitchedOn(declaredParameters?.["appendonly"]) });
    });
    // It holds hashes of random passwords only; shown, a changed rule can be read in the preview.
    return pulumi.unsecret(text);
  }

  #makeNode(name: string, args: RedisClusterArgs, own: OwnNodeArgs, declaration: pulumi.Resource): RedisNode {
    const { host, directory, redisAuthority, nodeTimeoutMs, tlsAuthClients, parameters, redisServer, certificateRevision, keepData } = args;
    const { address } = own;
    return new RedisNode(
      // A URN is split at `::`, which an IPv6 address may hold.
      `${name}-${address.host.replaceAll(":", "-")}-${address.port}`,
      {
        ...{ host, redisAuthority, nodeTimeoutMs, tlsAuthClients, parameters, redisServer, certificateRevision, keepData },
        ...own,
        directory: pulumi.interpolate`${directory}/${address.port}`,
        replication: { user: "replica-user", password: this.passwordOf("replica-user") },
        provisioner: { user: "provisioner", password: this.passwordOf("provisioner") },
        clusterFile: clusterFileIn(args),
        peers: (args.nodes ?? defaultNodes).filter((peer) => peer !== address),
      },
      { parent: this, dependsOn: declaration },
    );
  }
}

/** Where it is written down that the cluster is formed, and what it is on its way to. */
function clusterFileIn({ directory }: RedisClusterArgs): pulumi.Output<string> {
  return pulumi.interpolate`${directory}/cluster.json`;
}
