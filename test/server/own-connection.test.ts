import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { parseCommandReply } from "../../proxy/routing/command-table.ts";
import { MockCluster } from "../support/mock-cluster.ts";

test("a command that leaves state behind never goes to the connection that others share, where no other can be had", async () => {
  const cluster = await MockCluster.start(1);
  try {
    const { client } = await cluster.open(cluster.database({ mode: "standalone", retryBudgetMs: 100 }));
    await client.ask("GET", "a");
    cluster.on(0, ([name], connection) => {
      if (name !== "AUTH") return null;
      connection.destroy();
      return undefined;
    });
    assert.match(await client.ask("BLPOP", "list", "0"), /^-ERR Teleport: the server cannot be reached/);
    assert.match(await client.ask("MULTI"), /^-ERR Teleport: the server cannot be reached/);
    assert.deepEqual(cluster.nodes[0]!.got("MULTI"), []);
    assert.equal((await client.ask("GET", "a"))[0], "$");
  } finally {
    cluster.close();
  }
});

test("where a server counts what a connection has written, and nothing else, WAIT is for a client that has one of its own", async () => {
  const cluster = await MockCluster.start(1);
  try {
    const database = cluster.database({ mode: "standalone" });
    const { client } = await cluster.open(database);
    database.table.add(parseCommandReply([["waitaof", 4, [], 0, 0, 0]], new Set()));
    await client.ask("SET", "a", "b");
    assert.match(await client.ask("WAIT", "1", "0"), /^-ERR Teleport: a client can wait for what it writes by a connection of its own only/);
    assert.deepEqual(cluster.nodes[0]!.got("WAIT"), []);
    await client.ask("SELECT", "0");
    await client.ask("WAIT", "1", "0");
    assert.deepEqual(cluster.nodes[0]!.got("WAIT"), ["WAIT 1 0"]);
  } finally {
    cluster.close();
  }
});

test("a command that leaves state behind waits for a server that is down, or loads its data, as others do", async () => {
  const cluster = await MockCluster.start(1);
  try {
    const { client } = await cluster.open(cluster.database({ mode: "standalone" }));
    const node = cluster.nodes[0]!;
    let loaded = false;
    cluster.on(0, ([name]) => (loaded || name === "AUTH" || name === "SELECT" ? null : "-LOADING Redis is loading the dataset in memory\r\n"));
    node.stop();
    client.send("SELECT", "1");
    client.send("GET", "a");
    await pause(200);
    await node.restart();
    await pause(400);
    loaded = true;
    assert.deepEqual(await client.replies(2), ["+OK\r\n", "$10\r\nvalue of a\r\n"]);
  } finally {
    cluster.close();
  }
});

test("a client that logs in again with another password keeps the connection that it has for itself, however long", async () => {
  const cluster = await MockCluster.start(1);
  try {
    const { client } = await cluster.open(cluster.database({ mode: "standalone" }));
    assert.equal(await client.ask("MULTI"), "+OK\r\n");
    assert.equal(await client.ask("AUTH", "alice", "the new one"), "+OK\r\n");
    const ahead = performance.now.bind(performance);
    mock.method(performance, "now", () => ahead() + 61_000);
    // The proxy looks for connections that nobody uses once a second.
    await pause(2_500);
    assert.equal(await client.ask("EXEC"), "+OK\r\n");
    assert.deepEqual(cluster.nodes[0]!.got("EXEC").length, 1);
  } finally {
    mock.restoreAll();
    cluster.close();
  }
});

test("where the connection that a client has for itself is lost before it answered, the client is told what that means, and its own ends", async () => {
  const cluster = await MockCluster.start(1);
  try {
    const { client } = await cluster.open(cluster.database({ mode: "standalone" }));
    assert.equal(await client.ask("SELECT", "1"), "+OK\r\n");
    cluster.on(0, ([name], connection) => {
      if (name !== "INCR") return null;
      connection.destroy();
      return undefined;
    });
    assert.match(await client.ask("INCR", "a"), /^-ERR Teleport: connection to the server lost before it answered, the command may have been executed \(127/);
    await client.closed();
    assert.deepEqual(cluster.nodes[0]!.got("INCR"), ["INCR a"]);
  } finally {
    cluster.close();
  }
});
