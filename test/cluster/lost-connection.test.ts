import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

/** Node 0 hangs up when `name` comes for the first `times` times. */
function hangUpAt(name: string, times = 1): void {
  let left = times;
  cluster.on(0, ([command], connection) => {
    if (command !== name || left-- <= 0) return null;
    connection.destroy();
    return undefined;
  });
}

test("a write whose fate is unknown is reported as such, and never sent twice", async () => {
  const { client } = await cluster.open(cluster.database());
  hangUpAt("INCR");
  assert.match(await client.ask("INCR", cluster.key(0)), /^-ERR Teleport: connection to the node lost before it answered, the command may have been executed/);
  assert.equal(cluster.nodes[0]!.got("INCR").length, 1);
  assert.equal(await client.ask("GET", "a").then((reply) => reply[0]), "$", "the session goes on");
});

test("a command that changes nothing is sent again", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database());
  hangUpAt("GET", 2);
  assert.equal(await client.ask("GET", key), `$${9 + key.length}\r\nvalue of ${key}\r\n`);
  assert.equal(cluster.nodes[0]!.got("GET").length, 3);
});

test("PING, which has no key, is sent again as well", async () => {
  const { client } = await cluster.open(cluster.database());
  for (const index of [0, 1]) {
    let left = 1;
    cluster.on(index, ([name], connection) => {
      if (name !== "PING" || left-- <= 0) return null;
      connection.destroy();
      return undefined;
    });
  }
  assert.equal(await client.ask("PING"), "+PONG\r\n");
});

test("a connection lost in the middle of a run: what was answered stands, writes are reported, reads are answered", async () => {
  const [key, other] = [cluster.key(0), cluster.key(0, "other")];
  const { client } = await cluster.open(cluster.database());
  hangUpAt("INCR");
  client.send("GET", key);
  client.send("INCR", key);
  client.send("GET", other);
  client.send("APPEND", key, "x");
  client.send("GET", key);
  const replies = await client.replies(5);
  assert.deepEqual(replies.map((reply) => reply.slice(0, 1)), ["$", "-", "$", "-", "$"]);
  assert.equal(cluster.nodes[0]!.got("INCR").length, 1);
  assert.ok(cluster.nodes[0]!.got("APPEND").length <= 1);
});

test("a read is not sent again where a write behind it may have been executed: it would tell of what was not written yet", async () => {
  const [key, other] = [cluster.key(0), cluster.key(1)];
  const { client } = await cluster.open(cluster.database());
  hangUpAt("INCR");
  client.write(["GET", "INCR"].map((name) => `${name} ${key}\r\n`).join(""));
  const replies = await client.replies(2);
  assert.equal(replies[0]![0], "$", "it was answered before");
  hangUpAt("GET");
  client.write(`GET ${key}\r\nMGET ${other} ${key}\r\nINCR ${key}\r\nMGET ${other} ${key}\r\n`);
  const [get, mget, incr, behind] = await client.replies(4);
  for (const reply of [get, mget]) assert.match(reply!, /connection to the node lost before it answered, a command behind this one may have been executed/);
  assert.match(incr!, /the command may have been executed/);
  assert.equal(behind![0], "*");
});

test("a command without a key has nothing in common with those behind it", async () => {
  const { client } = await cluster.open(cluster.database());
  await client.ask("ECHO", "a");
  const home = cluster.nodes.findIndex((node) => node.got("ECHO").length > 0);
  let left = 1;
  cluster.on(home, ([name]) => (name === "ECHO" && left-- > 0 ? "-LOADING Redis is loading the dataset in memory\r\n" : null));
  client.write("ECHO a\r\nECHO b\r\n");
  assert.deepEqual(await client.replies(2), ["+OK\r\n", "+OK\r\n"]);
});

test("a write that never left the proxy is sent as soon as the node can be reached", async () => {
  const database = cluster.database();
  const { client } = await cluster.open(database);
  const key = cluster.key(0);
  let refuse = true;
  cluster.on(0, ([name], connection) => {
    if (name !== "AUTH" || !refuse) return null;
    connection.destroy();
    return undefined;
  });
  const before = database.connectionCount;
  cluster.nodes[0]!.hangUp();
  await waitFor("the proxy sees that the connections are gone", 5_000, () => database.connectionCount < before);
  const reply = client.ask("SET", key, "v");
  setTimeout(() => (refuse = false), 100);
  assert.equal(await reply, "+OK\r\n");
  assert.equal(cluster.nodes[0]!.got("SET").length, 1);
});

test("a node that refuses connections is not stormed, and the client hears of it when its time is up", async () => {
  const database = cluster.database({ retryBudgetMs: 300 });
  const { client } = await cluster.open(database);
  const key = cluster.key(1);
  cluster.nodes[1]!.stop();
  assert.match(await client.ask("SET", key, "v"), /^-CLUSTERDOWN .*the command was not executed/);
  assert.equal((await client.ask("GET", cluster.key(0)))[0], "$", "the other shard is served");
});

test("a connection lost in the middle of a reply ends the client's connection: what would follow could not be told from the reply", async () => {
  const { client } = await cluster.open(cluster.database());
  cluster.on(0, ([name], connection) => {
    if (name !== "GET") return null;
    connection.write("$100\r\nhalf of it", () => connection.destroy());
    return undefined;
  });
  client.send("GET", cluster.key(0));
  await client.closed();
  await assert.rejects(client.reply(), /unread: "\$100\\r\\nhalf of it"/);
});

test("half a reply that is not at the client yet is dropped, and the command asked again", async () => {
  const { client } = await cluster.open(cluster.database());
  const [slow, torn] = [cluster.key(1), cluster.key(0)];
  let left = 1;
  const release = Promise.withResolvers<undefined>();
  cluster.on(0, ([name, key], connection) => {
    if (name !== "GET" || key !== torn || left-- <= 0) return null;
    connection.write("$100\r\nhalf of it", () => {
      connection.destroy();
      release.resolve(undefined);
    });
    return undefined;
  });
  cluster.on(1, ([name], connection) => {
    if (name !== "GET") return null;
    void release.promise.then(() => setTimeout(() => connection.write("$4\r\nslow\r\n"), 50));
    return undefined;
  });
  client.send("GET", slow);
  client.send("GET", cluster.key(0, "whole"));
  client.send("GET", torn);
  const replies = await client.replies(3);
  assert.equal(replies[0], "$4\r\nslow\r\n");
  assert.match(replies[1]!, /^\$\d+\r\nvalue of whole/);
  assert.equal(replies[2], `$${9 + torn.length}\r\nvalue of ${torn}\r\n`);
});

test("a connection that was lent for a waiting command and lies idle counts as long as it is open", async () => {
  const database = cluster.database();
  const { client } = await cluster.open(database);
  let lent: { destroy(): void } | undefined;
  cluster.on(0, ([name], connection) => {
    if (name !== "BLPOP") return null;
    lent = connection;
    return "*-1\r\n";
  });
  // Every other connection that there will be: the user's own to both nodes, and those of a survey, as a lost one calls for.
  await client.ask("GET", cluster.key(0));
  await client.ask("GET", cluster.key(1));
  database.refresh();
  await waitFor("both nodes were asked for the topology", 2_000, () => cluster.nodes.every((node) => node.got("CLUSTER").length > 0));
  const before = database.connectionCount;
  assert.equal(await client.ask("BLPOP", cluster.key(0), "1"), "*-1\r\n");
  assert.equal(database.connectionCount, before + 1);
  lent!.destroy();
  await waitFor("it is not counted any more", 2_000, () => database.connectionCount === before);
  assert.equal(await client.ask("BLPOP", cluster.key(0), "1"), "*-1\r\n");
});
