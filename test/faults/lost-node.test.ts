import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TestProxy } from "../support/access-proxy.ts";
import { keyOnEachMaster } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { TestCluster } from "../support/redis-cluster.ts";
import type { TestNode } from "../support/redis-cluster.ts";

// Without replicas nobody takes over, and the cluster serves the slots that it has: what a lost node means can be looked at for as long as it takes.
const parameters = { save: "", "cluster-require-full-coverage": false };
const retryBudgetMs = 1_000;
const proxyOptions = { limits: { retry_budget_ms: retryBudgetMs } };

let cluster: TestCluster;
let seed: TestNode;
/** A key of the lost node, and of both others. */
let lost: string;
let left: [string, string];
let running: TestProxy;

before(async () => {
  cluster = await TestCluster.start({ nodes: 3, replicasPerMaster: 0, parameters });
  seed = cluster.nodes[0]!;
  const keys = await keyOnEachMaster(cluster, "key:");
  lost = keys.get(seed.port)!;
  left = cluster.nodes.slice(1).map(({ port }) => keys.get(port)!) as typeof left;
  running = await TestProxy.start(cluster, proxyOptions);
  const client = await RawConnection.open(running);
  for (const key of [lost, ...left]) assert.equal(await client.ask("SET", key, key), "+OK\r\n");
  client.close();
  await seed.child.stop();
});
after(async () => {
  await running.stop();
  await cluster.stop();
});

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

test("the seed node of the URI is down: a proxy that runs has new sessions", async () => {
  const client = await RawConnection.open(running);
  for (const key of left) assert.equal(await client.ask("GET", key), bulk(key));
  client.close();
});

test("the seed node of the URI is down: a proxy that starts finds the cluster by the others", async () => {
  const proxy = await TestProxy.start(cluster, proxyOptions);
  try {
    const client = await RawConnection.open(proxy);
    for (const key of left) assert.equal(await client.ask("GET", key), bulk(key));
    client.close();
  } finally {
    await proxy.stop();
  }
});

test("MGET with a key of a node that is down is an error as a whole, in bounded time; without such a key it is answered", async () => {
  const client = await RawConnection.open(running);
  try {
    const started = performance.now();
    assert.match(await client.ask("MGET", left[0], lost, left[1]), /^-ERR Teleport: CLUSTERDOWN [^\r]*\r\n$/);
    assert.ok(performance.now() - started < retryBudgetMs + 2_000);
    assert.equal(await client.ask("MGET", ...left), `*2\r\n${left.map(bulk).join("")}`);
  } finally {
    client.close();
  }
});

test("commands for the other nodes do not wait for one that is down, nor does their client's connection end", async () => {
  const [hit, other] = await Promise.all([RawConnection.open(running), RawConnection.open(running)]);
  try {
    hit.send("GET", lost);
    for (let i = 1; i <= 50; i++) assert.equal(await other.ask("INCR", `{${left[0]}}`), `:${i}\r\n`);
    assert.match(await hit.reply(), /^-CLUSTERDOWN /);
    assert.equal(await hit.ask("GET", left[0]), bulk(left[0]));
  } finally {
    hit.close();
    other.close();
  }
});

test("commands for every master are an error as long as one is missing: a sum over the others would be a lie", async () => {
  const client = await RawConnection.open(running);
  try {
    assert.match(await client.ask("DBSIZE"), /^-/);
    assert.match(await client.ask("KEYS", "*"), /^-/);
  } finally {
    client.close();
  }
});
