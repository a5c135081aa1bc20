import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { TestCluster, TestNode } from "../../support/redis-cluster.ts";
import { waitFor } from "../../support/wait-for.ts";

const run = promisify(execFile);

/** The name by which the cluster knows a node. */
export async function nodeId(cluster: TestCluster, node: TestNode): Promise<string> {
  return String(await call(cluster, node, "CLUSTER", "MYID"));
}

/** Moves slots as an operator does: redis-cli as `alice`, over mutual TLS, the password in the environment. */
export async function reshard(cluster: TestCluster, from: TestNode, to: TestNode, slots: number, limitMs: number): Promise<void> {
  const at = (file: string): string => join(from.directory, file);
  const [source, target] = [await nodeId(cluster, from), await nodeId(cluster, to)];
  await run(
    "redis-cli",
    [
      ...["--user", "alice", "--tls", "--cacert", at("ca.crt"), "--cert", at("server.crt"), "--key", at("server.key")],
      ...["--cluster", "reshard", `${from.host}:${from.port}`, "--cluster-from", source, "--cluster-to", target],
      ...["--cluster-slots", String(slots), "--cluster-yes"],
    ],
    { env: { ...process.env, REDISCLI_AUTH: cluster.passwords["alice"]! }, timeout: limitMs, maxBuffer: 64 * 1024 * 1024 },
  );
}

/**
 * Moves one slot key by key, and stops for `stayMs` when half of its keys have moved: long enough for commands on keys of
 * either half, and of both, to come by.
 */
export async function moveInHalves(cluster: TestCluster, slot: number, from: TestNode, to: TestNode, stayMs: number): Promise<void> {
  const [source, target] = [await nodeId(cluster, from), await nodeId(cluster, to)];
  await call(cluster, to, "CLUSTER", "SETSLOT", String(slot), "IMPORTING", source);
  await call(cluster, from, "CLUSTER", "SETSLOT", String(slot), "MIGRATING", target);
  let rested = false;
  let moved = 0;
  const total = Number(await call(cluster, from, "CLUSTER", "COUNTKEYSINSLOT", String(slot)));
  for (;;) {
    const [key] = (await call(cluster, from, "CLUSTER", "GETKEYSINSLOT", String(slot), "1")) as string[];
    if (key === undefined) break;
    await call(cluster, from, "MIGRATE", to.host, String(to.port), key, "0", "5000", "AUTH2", "alice", cluster.passwords["alice"]!);
    if (++moved >= total / 2 && !rested) await pause(stayMs);
    rested = moved >= total / 2;
  }
  for (const node of [to, from, ...(await cluster.masters())]) await call(cluster, node, "CLUSTER", "SETSLOT", String(slot), "NODE", target);
}

/** The replicas of a master, as it sees them. */
export async function replicasOf(cluster: TestCluster, master: TestNode): Promise<TestNode[]> {
  const lines = (await call(cluster, master, "CLUSTER", "REPLICAS", await nodeId(cluster, master))) as string[];
  const ports = lines.map((line) => Number(/:(\d+)@/.exec(line)![1]));
  return cluster.nodes.filter(({ port }) => ports.includes(port));
}

/** Has a replica of `master` take its place in agreement with it (CLUSTER FAILOVER); returns the new master. */
export async function failOver(cluster: TestCluster, master: TestNode, limitMs: number): Promise<TestNode> {
  const [replica] = await replicasOf(cluster, master);
  if (replica === undefined) throw new Error(`the master at ${master.port} has no replica`);
  await waitFor(`${replica.port} takes the place of ${master.port}`, limitMs, async () => {
    if (String(await call(cluster, replica, "INFO", "replication")).includes("role:master")) return true;
    await call(cluster, replica, "CLUSTER", "FAILOVER").catch(() => undefined);
    return false;
  }, 250);
  return replica;
}

/** Waits until some other node than `gone` has taken over, as a node that lives sees it. */
export async function takenOver(cluster: TestCluster, gone: TestNode, limitMs: number): Promise<void> {
  const witness = cluster.living().find((node) => node !== gone)!;
  await waitFor(`another node takes the place of ${gone.port}`, limitMs, async () => {
    const masters = await cluster.masters(witness);
    return masters.length >= 3 && !masters.includes(gone) && String(await call(cluster, witness, "CLUSTER", "INFO")).includes("cluster_state:ok");
  }, 100);
}

/** Runs one command on one node. */
export async function call(cluster: TestCluster, node: TestNode, command: string, ...args: string[]): Promise<unknown> {
  const client = cluster.direct(node);
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}
