import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

test("a pipeline to a node that cannot be reached waits no longer than one request: all share the time allowed", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database({ retryBudgetMs: 300 }));
  cluster.on(0, (_command, connection) => {
    connection.destroy();
    return undefined;
  });
  const began = performance.now();
  client.write(Buffer.concat(Array.from({ length: 50 }, () => encodeCommand(["GET", key]))));
  assert.ok((await client.replies(50)).every((reply) => reply.startsWith("-CLUSTERDOWN ")));
  assert.ok(performance.now() - began < 3_000, "each request had the whole time to itself");
});

test("requests behind the first are sent as soon as the node is back, even where that took nearly all the time allowed", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database({ retryBudgetMs: 1_500 }));
  let back = false;
  cluster.on(0, (_command, connection) => {
    if (back) return null;
    connection.destroy();
    return undefined;
  });
  client.write(Buffer.concat(Array.from({ length: 500 }, () => encodeCommand(["GET", key]))));
  setTimeout(() => (back = true), 500);
  assert.ok((await client.replies(500)).every((reply) => reply.startsWith("$")));
});

test("a deep pipeline that is lost as a whole is settled request by request", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database());
  const depth = 10_000;
  await letPipelinesBeDeep(client, key, depth);
  let came = 0;
  cluster.on(0, ([name], connection) => {
    if ((name !== "GET" && name !== "SET") || ++came > depth) return null;
    if (came === depth) connection.destroy();
    return undefined;
  });
  client.write(Buffer.concat([encodeCommand(["GET", cluster.key(0, "other")]), ...Array.from({ length: depth - 1 }, () => encodeCommand(["SET", key, "v"]))]));
  const [first, ...others] = await client.replies(depth);
  assert.match(first!, /^\$/);
  assert.ok(others.every((reply) => reply.includes("the command may have been executed")));
  assert.equal(cluster.nodes[0]!.got("SET").length, depth - 1, "no write was sent twice");
});

test("a user who may not log in any more loses the connections to all nodes and the sessions at once, behind an answer to what is under way", async () => {
  const database = cluster.database();
  const [{ client }, { client: idle }] = [await cluster.open(database), await cluster.open(database)];
  let used: Socket | undefined;
  cluster.on(1, ([name], connection) => {
    if (name === "GET") used = connection;
    return null;
  });
  for (const index of [0, 1]) await client.ask("GET", cluster.key(index));
  cluster.on(0, ([name, user]) => {
    if (name === "AUTH" && user === "alice") return "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    return name === "GET" ? undefined : null;
  });
  client.send("GET", cluster.key(0));
  await waitFor("the command is at its node", 5_000, () => cluster.nodes[0]!.got("GET").length === 2);
  cluster.nodes[0]!.hangUp();
  assert.match(await client.reply(), /^-NOAUTH /);
  await Promise.all([client.closed(1_000), idle.closed(1_000)]);
  await waitFor("the other node sees the connection end", 1_000, () => !cluster.nodes[1]!.connections.has(used!));
});

test("SUBSCRIBE waits for its node as other commands do, and the client's connection stays where that does not come back in time", async () => {
  for (const [budget, backAfter] of [[2_000, 300], [300, Infinity]] as const) {
    const { client } = await cluster.open(cluster.database({ retryBudgetMs: budget }));
    let back = false;
    cluster.on(0, ([name, first], connection) => {
      if (back) return name === "SUBSCRIBE" ? `*3\r\n$9\r\nsubscribe\r\n$4\r\n${first!}\r\n:1\r\n` : null;
      connection.destroy();
      return undefined;
    });
    client.write(`SUBSCRIBE news\r\nGET ${cluster.key(1)}\r\n`);
    if (backAfter < Infinity) setTimeout(() => (back = true), backAfter);
    const [subscribed, got] = await client.replies(2);
    if (backAfter < Infinity) assert.match(subscribed!, /^\*3\r\n\$9\r\nsubscribe/);
    else assert.match(subscribed!, /^-ERR Teleport: no node can be reached for a subscription/);
    assert.match(got!, backAfter < Infinity ? /^-ERR Can't execute 'get'/ : /^\$/);
  }
});

/** A client's pipelines may become deep only as it is seen to read its replies. */
async function letPipelinesBeDeep(client: Awaited<ReturnType<typeof cluster.open>>["client"], key: string, depth: number): Promise<void> {
  client.write(Buffer.concat(Array.from({ length: 4 * depth }, () => encodeCommand(["GET", key]))));
  await client.replies(4 * depth);
}

test("FLUSHALL, which is about all keys, comes behind the writes before it and before those behind it, though a node answers some later", async () => {
  const key = cluster.key(0);
  const executed: string[] = [];
  let loading = 2;
  cluster.on(0, ([name]) => {
    if (name !== "SET" && name !== "FLUSHALL") return null;
    if (loading-- > 0) return "-LOADING Redis is loading the dataset in memory\r\n";
    executed.push(name);
    return "+OK\r\n";
  });
  const { client } = await cluster.open(cluster.database());
  client.write(`SET ${key} before\r\nFLUSHALL\r\nSET ${key} behind\r\n`);
  assert.deepEqual(await client.replies(3), ["+OK\r\n", "+OK\r\n", "+OK\r\n"]);
  assert.deepEqual(executed, ["SET", "FLUSHALL", "SET"]);
  loading = 0;
  executed.length = 0;
  cluster.on(0, ([name]) => {
    if (name !== "SET" && name !== "FLUSHALL") return null;
    if (name === "FLUSHALL" && loading++ === 0) return "-LOADING Redis is loading the dataset in memory\r\n";
    executed.push(name);
    return "+OK\r\n";
  });
  client.write(`FLUSHALL\r\nSET ${key} behind\r\n`);
  assert.deepEqual(await client.replies(2), ["+OK\r\n", "+OK\r\n"]);
  assert.deepEqual(executed, ["FLUSHALL", "SET"]);
});
