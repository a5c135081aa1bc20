import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, Redis } from "ioredis";
import type { ClusterOptions, RedisOptions } from "ioredis";
import type { NodeAddress } from "../../components/cluster-plan.ts";
import { renderPemBundle } from "../../components/pem-bundle.ts";
import { createCluster } from "../../components/provider/redis-cli.ts";
import type { RedisParameter } from "../../components/redis-conf.ts";
import { fullAccessRules, renderUsersAcl, systemUser, systemUserRules } from "../../components/users-acl.ts";
import type { SystemUserName } from "../../components/users-acl.ts";
import { makeAuthorities, makeLeaf } from "./certificates.ts";
import type { TestAuthorities } from "./certificates.ts";
import { findFreePorts } from "./free-ports.ts";
import { TestServer } from "./redis-server.ts";
import { waitFor } from "./wait-for.ts";

/** How a test's cluster is made. */
export interface TestClusterOptions {
  /** Nodes, masters and replicas together. Default 6. */
  readonly nodes?: number;
  /** Default 1. */
  readonly replicasPerMaster?: number;
  /** Further nodes that run and belong to no cluster yet. Default 0. */
  readonly spares?: number;
  /** Users with full access. Default: alice and bob. */
  readonly users?: readonly string[];
  /** Milliseconds after which a silent node counts as failed; short, so that failovers are. Default 1000. */
  readonly nodeTimeoutMs?: number;
  /** Additional redis.conf parameters. Default: no snapshots. */
  readonly parameters?: Readonly<Record<string, RedisParameter>>;
}

/** One running redis-server of a {@link TestCluster}. */
export type TestNode = TestServer;

const formationLimitMs = 60_000;
const systemUsers = Object.keys(systemUserRules) as SystemUserName[];

/** A real Redis Cluster with mutual TLS, made from this project's own renderers and authorities, without Pulumi: it is up in seconds. */
export class TestCluster {
  readonly authorities: TestAuthorities;
  readonly directory: string;
  readonly nodes: readonly TestNode[];
  /** Those that belong to no cluster, unless the test has had them join. */
  readonly spares: readonly TestNode[];
  /** By user name; the system's own users among them. */
  readonly passwords: Readonly<Record<string, string>>;

  private constructor(authorities: TestAuthorities, directory: string, nodes: readonly TestNode[], spares: readonly TestNode[], passwords: Readonly<Record<string, string>>) {
    this.authorities = authorities;
    this.directory = directory;
    this.nodes = nodes;
    this.spares = spares;
    this.passwords = passwords;
  }

  /** Starts the nodes and joins them. `stop` must be called in the end, also where a test fails. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const authorities = await makeAuthorities();
    const users = options.users ?? ["alice", "bob"];
    const passwords = Object.fromEntries([...users, ...systemUsers].map((name) => [name, randomBytes(32).toString("hex")]));
    const acl = renderUsersAcl([
      ...users.map((name) => ({ name, passwords: [passwords[name]!], rules: fullAccessRules })),
      ...systemUsers.map((name) => systemUser(name, passwords[name]!)),
    ]);
    const directory = mkdtempSync(join(tmpdir(), "redis-access-cluster-"));
    const count = options.nodes ?? 6;
    const ports = await findFreePorts(count + (options.spares ?? 0), 10_000);
    const nodes = await Promise.all(ports.map((port) => makeNode(directory, port, authorities, acl, passwords["replica-user"]!, options)));
    const cluster = new TestCluster(authorities, directory, nodes.slice(0, count), nodes.slice(count), passwords);
    try {
      await cluster.#form(options.replicasPerMaster ?? 1);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Options of an ioredis client that comes to a node directly, with that node's own certificate. */
  tls(): NonNullable<RedisOptions["tls"]> {
    const { redis } = this.authorities;
    return { ca: redis.certPem, cert: this.#clientCert.certPem, key: this.#clientCert.keyPem, servername: "" };
  }

  /** A client of one node, without the proxy. */
  direct(node: NodeAddress = this.nodes[0]!, user = "alice", options: RedisOptions = {}): Redis {
    const client = new Redis({ host: node.host, port: node.port, username: user, password: this.passwords[user]!, tls: this.tls(), ...options });
    client.on("error", () => undefined);
    return client;
  }

  /** A cluster client, without the proxy. */
  clusterClient(user = "alice", options: ClusterOptions = {}): Cluster {
    const seeds = this.nodes.map(({ host, port }) => ({ host, port }));
    const client = new Cluster(seeds, { redisOptions: { username: user, password: this.passwords[user]!, tls: this.tls() }, ...options });
    client.on("error", () => undefined);
    return client;
  }

  /** The nodes that are masters with slots now, as the given living node sees it. */
  async masters(asked: TestNode = this.living()[0]!): Promise<TestNode[]> {
    const client = this.direct(asked);
    try {
      const lines = String(await client.call("CLUSTER", "NODES")).trim().split("\n").map((line) => line.split(" "));
      const ports = lines.filter(([, , flags, , , , , , slots]) => /master/.test(flags!) && !/fail/.test(flags!) && slots !== undefined).map(([, place]) => Number(/:(\d+)@/.exec(place!)![1]));
      return this.nodes.filter(({ port }) => ports.includes(port));
    } finally {
      client.disconnect();
    }
  }

  living(): TestNode[] {
    return this.nodes.filter(({ child }) => child.end === undefined);
  }

  /** Starts a node that has ended again, with the data it has. */
  async restart(node: TestNode): Promise<void> {
    node.restart();
    await this.#answers(node);
  }

  /** Waits until all living nodes say that the cluster is well and every slot has a master. */
  async settled(limitMs = formationLimitMs): Promise<void> {
    for (const node of this.living()) {
      const client = this.direct(node);
      try {
        await waitFor(`cluster_state:ok at ${node.port}`, limitMs, async () => {
          const info = String(await client.call("CLUSTER", "INFO"));
          const replication = String(await client.call("INFO", "replication"));
          return info.includes("cluster_state:ok") && (replication.includes("role:master") || replication.includes("master_link_status:up"));
        });
      } finally {
        client.disconnect();
      }
    }
  }

  /** Ends all nodes and removes their files. */
  async stop(): Promise<void> {
    await Promise.all([...this.nodes, ...this.spares].map(({ child }) => child.stop()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #clientCert = { certPem: "", keyPem: "" };

  async #form(replicasPerMaster: number): Promise<void> {
    this.#clientCert = await makeLeaf(this.authorities, "redis", { commonName: "test client" });
    await Promise.all([...this.nodes, ...this.spares].map((node) => this.#answers(node)));
    const first = this.nodes[0]!.directory;
    await createCluster({
      redisCli: "/usr/bin/redis-cli",
      nodes: this.nodes,
      replicasPerMaster,
      ...{ caFile: join(first, "ca.crt"), certFile: join(first, "server.crt"), keyFile: join(first, "server.key") },
      user: "provisioner",
      password: this.passwords["provisioner"]!,
      recordFile: join(this.directory, "redis-cli.process"),
      limitMs: formationLimitMs,
    });
    await this.settled();
  }

  async #answers(node: TestNode): Promise<void> {
    const client = this.direct(node);
    try {
      await node.answers(client);
    } finally {
      client.disconnect();
    }
  }
}

async function makeNode(parent: string, port: number, authorities: TestAuthorities, acl: string, replicationPassword: string, { nodeTimeoutMs, parameters }: TestClusterOptions): Promise<TestServer> {
  return new TestServer({
    directory: join(parent, String(port)),
    ...{ port, acl, replicationPassword },
    certificate: await makeLeaf(authorities, "redis", { commonName: "127.0.0.1" }),
    caPem: authorities.redis.certPem,
    bundle: renderPemBundle([authorities.redis.certPem], [authorities.db_client.certPem]),
    ...(nodeTimeoutMs !== undefined && { nodeTimeoutMs }),
    ...(parameters !== undefined && { parameters }),
  });
}
