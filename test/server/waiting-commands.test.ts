import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { Database } from "../../proxy/cluster/database.ts";
import { MockCluster } from "../support/mock-cluster.ts";
import type { MockClient } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

let cluster: MockCluster;
/** The connection on which BLPOP came to the node; it is never answered. */
let waiting: Socket | undefined;
/** Answers the GET that came. */
let answerGet: () => void;

for (const mode of ["cluster", "standalone", "standalone, on a connection of the session's own"] as const) {
  describe(`a command that waits in Redis (${mode})`, () => {
    beforeEach(async () => {
      cluster = await MockCluster.start(1);
      waiting = undefined;
      cluster.on(0, ([name], connection) => {
        if (name === "BLPOP") waiting = connection;
        if (name === "GET") answerGet = () => connection.write("$1\r\nx\r\n");
        return name === "BLPOP" || name === "GET" ? undefined : null;
      });
    });
    afterEach(() => {
      cluster.close();
    });

    const makeDatabase = (): Database => cluster.database({ mode: mode === "cluster" ? "cluster" : "standalone" });

    async function open(database = makeDatabase()): Promise<MockClient> {
      const opened = await cluster.open(database);
      if (mode.includes("own")) assert.equal(await opened.client.ask("SELECT", "1"), "+OK\r\n");
      return opened;
    }

    async function isCut(): Promise<void> {
      await waitFor("Redis sees that nobody waits any more", 1_000, () => waiting!.destroyed);
    }

    test("ends when its client ends its side, so that nothing is popped for nobody", async () => {
      const { client } = await open();
      client.send("BLPOP", "list", "0");
      await waitFor("it waits", 2_000, () => waiting !== undefined);
      client.socket.end();
      await client.closed(2_000);
      await isCut();
    });

    for (const behind of ["at once", "behind a slow one"]) {
      test(`ends with its client also where much was sent behind it; begun ${behind}`, async () => {
        const { client } = await open();
        if (behind !== "at once") client.send("GET", "a");
        client.send("BLPOP", "list", "0");
        for (let i = 0; i < 20_000; i++) client.send("INCR", "counter");
        await new Promise((resolve) => setTimeout(resolve, 100));
        if (behind !== "at once") answerGet();
        await waitFor("it waits", 2_000, () => waiting !== undefined);
        client.socket.destroy();
        await isCut();
        assert.equal(cluster.nodes[0]!.got("INCR").length, 0);
      });
    }

    test("ends when the proxy is to stop, though its client keeps the connection", async () => {
      const { client, session } = await open();
      client.socket.allowHalfOpen = true;
      client.send("BLPOP", "list", "0");
      await waitFor("it waits", 2_000, () => waiting !== undefined);
      session.drain();
      await isCut();
    });

    test("is answered when the proxy is to stop, where Redis had popped for it by then", async () => {
      const database = makeDatabase();
      const [{ client, session }, { client: other }] = [await open(database), await open(database)];
      client.send("BLPOP", "list", "0");
      await waitFor("it waits", 2_000, () => waiting !== undefined);
      const popped = "*2\r\n$4\r\nlist\r\n$1\r\nx\r\n";
      const first = waiting!;
      first.allowHalfOpen = true;
      first.once("end", () => first.write(popped));
      session.drain();
      assert.equal(await client.reply(2_000), popped);
      await client.closed(2_000);
      // The connection that Redis was asked to end is nobody else's.
      other.send("BLPOP", "list", "0");
      await waitFor("another one waits", 2_000, () => waiting !== first);
    });

    test("is cut off when the proxy is to stop and its node does not let go", async () => {
      const { client, session } = await open();
      client.send("BLPOP", "list", "0");
      await waitFor("it waits", 2_000, () => waiting !== undefined);
      waiting!.allowHalfOpen = true;
      session.drain();
      await client.closed(4_000);
      assert.equal(client.waiting, 0);
    });

    test("is not begun behind a slow one for a client that has ended its side meanwhile", async () => {
      const { client } = await open();
      client.send("GET", "key");
      client.send("BLPOP", "list", "0");
      await waitFor("the first is under way", 2_000, () => cluster.nodes[0]!.got("GET").length === 1);
      client.socket.end();
      // The proxy has seen the end once it has the bytes before it; PING on a second client comes after both.
      const { client: other } = await cluster.open(cluster.database());
      await other.ask("PING");
      answerGet();
      assert.equal(await client.reply(), "$1\r\nx\r\n");
      await client.closed(2_000);
      assert.deepEqual(cluster.nodes[0]!.got("BLPOP"), []);
    });

    test("is not begun behind a slow one when the proxy is to stop", async () => {
      const { client, session } = await open();
      client.send("GET", "key");
      client.send("BLPOP", "list", "0");
      await waitFor("the first is under way", 2_000, () => cluster.nodes[0]!.got("GET").length === 1);
      session.drain();
      answerGet();
      assert.equal(await client.reply(), "$1\r\nx\r\n");
      await client.closed(2_000);
      assert.deepEqual(cluster.nodes[0]!.got("BLPOP"), []);
    });

    test("is answered where its client stays, and the session goes on", async () => {
      const { client } = await open();
      client.send("BLPOP", "list", "0");
      client.send("PING");
      await waitFor("it waits", 2_000, () => waiting !== undefined);
      waiting!.write("*-1\r\n");
      assert.deepEqual(await client.replies(2), ["*-1\r\n", "+PONG\r\n"]);
      client.socket.end();
      await client.closed(2_000);
    });
  });
}

test("QUIT ends the connection also while the audit takes nothing", async () => {
  cluster = await MockCluster.start(1);
  try {
    let accepting = true;
    const observer = { accepting: () => accepting, onceCaughtUp: () => false };
    const { client } = await cluster.open(cluster.database(), { observer });
    accepting = false;
    assert.match(await client.ask("PING"), /^-ERR Teleport: the audit cannot be written/);
    assert.equal(await client.ask("QUIT"), "+OK\r\n");
    await client.closed(2_000);
  } finally {
    cluster.close();
  }
});
