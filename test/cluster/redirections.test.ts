import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

test("MOVED is followed, and later requests for the slot go to its new owner at once", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database());
  cluster.on(0, ([name]) => (name === "GET" ? cluster.redirection("MOVED", key, 1) : null));
  cluster.owners[cluster.slot(key)] = 1;
  cluster.epoch++;
  assert.equal(await client.ask("GET", key), `$${9 + key.length}\r\nvalue of ${key}\r\n`);
  await client.ask("GET", key);
  assert.deepEqual([cluster.nodes[0]!.got("GET").length, cluster.nodes[1]!.got("GET").length], [1, 2]);
});

test("ASK is followed for one request, with ASKING right before it on the same connection", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database());
  cluster.on(0, ([name]) => (name === "SET" ? cluster.redirection("ASK", key, 1) : null));
  const other = cluster.key(1);
  client.send("GET", other);
  client.send("SET", key, "v");
  client.send("GET", other);
  assert.deepEqual(await client.replies(3), [`$${9 + other.length}\r\nvalue of ${other}\r\n`, "+OK\r\n", `$${9 + other.length}\r\nvalue of ${other}\r\n`]);
  const { received } = cluster.nodes[1]!;
  assert.equal(received[received.indexOf(`SET ${key} v`) - 1], "ASKING");
  assert.equal(cluster.nodes[1]!.got("ASKING").length, 1);
  await client.ask("SET", key, "w");
  assert.equal(cluster.nodes[0]!.got("SET").length, 2, "the owner is asked again: the slot is on its way still");
});

test("a redirection in the middle of a pipelined run keeps every reply in its place", async () => {
  const keys = Array.from({ length: 9 }, (_, i) => cluster.key(0, `run${i}-`));
  const moved = keys[4]!;
  const { client } = await cluster.open(cluster.database());
  cluster.on(0, ([name, key]) => (name === "GET" && key === moved ? cluster.redirection("ASK", moved, 1) : null));
  for (const key of keys) client.send("GET", key);
  assert.deepEqual(await client.replies(9), keys.map((key) => `$${9 + key.length}\r\nvalue of ${key}\r\n`));
  assert.equal(cluster.nodes[1]!.got("GET").length, 1);
});

test("requests for one key keep their order where all of them are redirected", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database());
  cluster.on(0, ([name]) => (name === "APPEND" ? cluster.redirection("MOVED", key, 1) : null));
  cluster.owners[cluster.slot(key)] = 1;
  cluster.epoch++;
  for (let i = 0; i < 20; i++) client.send("APPEND", key, String(i));
  await client.replies(20);
  assert.deepEqual(cluster.nodes[1]!.got("APPEND"), Array.from({ length: 20 }, (_, i) => `APPEND ${key} ${i}`));
});

test("what the node is not ready for is not executed behind what its client sent after it: it is answered with the node's error", async () => {
  // All in one slot: it is the key that counts, as of a slot on its way some keys are here and some there.
  const [key, other] = [`{${cluster.key(0)}}`, `{${cluster.key(0)}}other`];
  const { client } = await cluster.open(cluster.database());
  const down = "-CLUSTERDOWN The cluster is down\r\n";
  let left = 2;
  const executed: string[] = [];
  cluster.on(0, ([name, ...args]) => {
    if (name !== "SET" && name !== "GET") return null;
    if (left-- > 0) return down;
    executed.push([name, ...args].join(" "));
    return name === "SET" ? "+OK\r\n" : null;
  });
  // In one piece, so that all of it is under way before the first answer comes.
  client.write([`SET ${key} 1`, `SET ${other} 1`, `GET ${other}x`, `SET ${key} 2`].join("\r\n") + "\r\n");
  assert.deepEqual([await client.reply(), await client.reply()], [down, "+OK\r\n"]);
  await client.replies(2);
  assert.deepEqual(executed.filter((command) => command.startsWith("SET")), [`SET ${key} 2`, `SET ${other} 1`]);
  left = 1;
  client.write([`SET ${key} 3`, `MGET ${key} ${other}`].join("\r\n") + "\r\n");
  assert.equal(await client.reply(), down, "what was read behind it did not show it");
  assert.equal((await client.reply())[0], "*");
});

for (const error of ["TRYAGAIN Multiple keys request during rehashing of slot", "CLUSTERDOWN The cluster is down", "LOADING Redis is loading the dataset in memory", "MASTERDOWN Link with MASTER is down", "READONLY You can't write against a read only replica."]) {
  test(`${error.split(" ")[0]!} is waited for, and never reaches a client while that helps`, async () => {
    const key = cluster.key(0);
    const { client } = await cluster.open(cluster.database());
    let left = 3;
    cluster.on(0, ([name]) => (name === "SET" && left-- > 0 ? `-${error}\r\n` : null));
    assert.equal(await client.ask("SET", key, "v"), "+OK\r\n");
    assert.equal(cluster.nodes[0]!.got("SET").length, 4);
  });

  test(`${error.split(" ")[0]!} is the answer once the time for trying again is up`, async () => {
    const key = cluster.key(0);
    const { client } = await cluster.open(cluster.database({ retryBudgetMs: 150 }));
    cluster.on(0, ([name]) => (name === "SET" ? `-${error}\r\n` : null));
    const begin = performance.now();
    assert.equal(await client.ask("SET", key, "v"), `-${error}\r\n`);
    assert.ok(performance.now() - begin < 1_500);
    assert.ok(cluster.nodes[0]!.got("SET").length <= 10, "the pauses between the attempts grow");
  });
}

test("two nodes that name each other are asked a bounded number of times", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database({ retryBudgetMs: 200 }));
  for (const index of [0, 1]) cluster.on(index, ([name]) => (name === "GET" ? cluster.redirection("MOVED", key, 1 - index) : null));
  assert.match(await client.ask("GET", key), /^-MOVED /);
  assert.ok(cluster.nodes[0]!.got("GET").length + cluster.nodes[1]!.got("GET").length < 20);
});

test("an error line that comes in pieces is a redirection all the same", async () => {
  const key = cluster.key(0);
  const { client } = await cluster.open(cluster.database());
  cluster.on(0, ([name], connection) => {
    if (name !== "GET") return null;
    const line = cluster.redirection("ASK", key, 1);
    const write = (at: number): void => {
      if (at < line.length) connection.write(line[at]!, () => setImmediate(write, at + 1));
    };
    write(0);
    return undefined;
  });
  assert.equal(await client.ask("GET", key), `$${9 + key.length}\r\nvalue of ${key}\r\n`);
});

test("an error that is long, or comes in pieces, reaches the client as it is", async () => {
  const { client } = await cluster.open(cluster.database());
  const error = `-ERR ${"x".repeat(200_000)}\r\n`;
  cluster.on(0, ([name], connection) => {
    if (name !== "GET") return null;
    connection.write(error.slice(0, 3));
    setImmediate(() => connection.write(error.slice(3)));
    return undefined;
  });
  assert.equal(await client.ask("GET", cluster.key(0)), error);
  assert.equal(await client.ask("PING"), "+PONG\r\n");
});

test("a script's own error that begins like one of Redis's is its answer: it is run once, and slows nobody down", async () => {
  const database = cluster.database();
  const { client } = await cluster.open(database);
  const key = cluster.key(0);
  for (const error of ["TRYAGAIN the order is locked", "READONLY account", "LOADING", "MOVED to another shop"]) {
    cluster.on(0, ([name]) => (name === "SET" ? `-${error}\r\n` : null));
    const before = cluster.nodes[0]!.got("SET").length;
    assert.equal(await client.ask("SET", key, "v"), `-${error}\r\n`);
    assert.equal(cluster.nodes[0]!.got("SET").length, before + 1);
  }
  assert.equal(database.unsettledUntil, 0);
});

test("MOVED for a slot that the request does not have tells nothing of slots on the move", async () => {
  const database = cluster.database({ retryBudgetMs: 100 });
  const { client } = await cluster.open(database);
  cluster.on(0, ([name]) => (name === "SET" ? cluster.redirection("MOVED", cluster.key(1), 1) : null));
  await client.ask("SET", cluster.key(0), "v");
  assert.equal(database.unsettledUntil, 0);
});
