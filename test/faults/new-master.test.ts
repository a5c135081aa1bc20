import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { slotRanges } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";
import type { TestCluster, TestNode } from "../support/redis-cluster.ts";
import { waitFor } from "../support/wait-for.ts";
import { call, nodeId } from "./support/moves.ts";

const key = (i: number): string => `{moving}${i}`;
let source: TestNode;
/** Has just joined: a master without slots. */
let target: TestNode;
// A slow command must not make the cluster call its node lost.
const fixtures = clusterBehindProxy({ nodes: 3, replicasPerMaster: 0, spares: 1, nodeTimeoutMs: 10_000 }, {}, async ({ cluster }) => {
  await leaveOpen(cluster);
  return () => undefined;
});

/** Has the spare node join, and fills the slot of all keys here and leaves it half on its way there. */
async function leaveOpen(cluster: TestCluster): Promise<void> {
  const slot = Number(await call(cluster, cluster.nodes[0]!, "CLUSTER", "KEYSLOT", key(0)));
  const { port } = (await slotRanges(cluster)).find(({ first, last }) => first <= slot && slot <= last)!;
  source = cluster.nodes.find((node) => node.port === port)!;
  target = cluster.spares[0]!;
  for (let i = 0; i < 10; i++) await call(cluster, source, "SET", key(i), "value");
  await call(cluster, target, "CLUSTER", "MEET", source.host, String(source.port));
  for (const node of [...cluster.nodes, target]) {
    await waitFor("every node knows the new one", 20_000, async () => String(await call(cluster, node, "CLUSTER", "INFO")).includes("cluster_known_nodes:4"));
  }
  await waitFor("the new node counts the cluster as whole", 20_000, async () => String(await call(cluster, target, "CLUSTER", "INFO")).includes("cluster_state:ok"));
  await call(cluster, target, "CLUSTER", "SETSLOT", String(slot), "IMPORTING", await nodeId(cluster, source));
  await call(cluster, source, "CLUSTER", "SETSLOT", String(slot), "MIGRATING", await nodeId(cluster, target));
  const login = ["AUTH2", "alice", cluster.passwords["alice"]!];
  for (let i = 0; i < 5; i++) assert.equal(await call(cluster, source, "MIGRATE", target.host, String(target.port), key(i), "0", "5000", ...login), "OK");
}

test("the keys that a master without slots has taken in are counted, listed and deleted with the others", async () => {
  const client = await RawConnection.open(fixtures.proxy);
  assert.equal(await client.ask("GET", key(0)), "$5\r\nvalue\r\n");
  assert.equal(await client.ask("DBSIZE"), ":10\r\n");
  const listed = (await client.ask("KEYS", "*")).split("\r\n").filter((line) => line.startsWith("{"));
  assert.deepEqual(listed.sort(), Array.from({ length: 10 }, (_, i) => key(i)));
  assert.equal(await client.ask("FLUSHALL"), "+OK\r\n");
  for (const i of [0, 9]) assert.equal(await client.ask("GET", key(i)), "$-1\r\n");
  client.close();
});

test("a command that waits or takes long at a master without slots is answered", async () => {
  const { proxy } = fixtures;
  const [waiting, busy] = [await RawConnection.open(proxy), await RawConnection.open(proxy)];
  waiting.send("BLPOP", "{moving}list", "20");
  // Longer than the proxy takes to look after connections that make no progress.
  await pause(2_500);
  assert.equal(await busy.ask("RPUSH", "{moving}list", "element"), ":1\r\n");
  assert.equal(await waiting.reply(), "*2\r\n$12\r\n{moving}list\r\n$7\r\nelement\r\n");
  const script = "local s = redis.call('time')[1] while redis.call('time')[1] - s < 4 do end return redis.call('incr', KEYS[1])";
  assert.equal(await busy.ask("EVAL", script, "1", "{moving}counter"), ":1\r\n");
  waiting.close();
  busy.close();
});
