import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "../support/wait-for.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";

const fixtures = clusterBehindProxy();
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const confirmed = (kind: string, channel: string, count: number): string => `*3\r\n${bulk(kind)}${bulk(channel)}:${count}\r\n`;
const message = (channel: string, text: string): string => `*3\r\n${bulk("message")}${bulk(channel)}${bulk(text)}`;
const refusal = "-ERR Teleport: command not supported\r\n";

/** Gives two connections: one to subscribe, one to publish. */
async function withTwo(use: (subscriber: RawConnection, publisher: RawConnection) => Promise<void>): Promise<void> {
  const [subscriber, publisher] = await Promise.all([RawConnection.open(fixtures.proxy), RawConnection.open(fixtures.proxy)]);
  try {
    await use(subscriber, publisher);
  } finally {
    subscriber.close();
    publisher.close();
  }
}

test("messages reach every subscriber, and are counted as one server counts them, whoever publishes or asks", async () => {
  const subscribers = await Promise.all(Array.from({ length: 9 }, () => RawConnection.open(fixtures.proxy)));
  const [publisher, ...others] = (await Promise.all(Array.from({ length: 6 }, () => RawConnection.open(fixtures.proxy)))) as [RawConnection, ...RawConnection[]];
  try {
    for (const subscriber of subscribers) assert.equal(await subscriber.ask("SUBSCRIBE", "news"), confirmed("subscribe", "news", 1));
    for (let i = 0; i < 100; i++) publisher.send("PUBLISH", "news", String(i));
    assert.deepEqual(await publisher.replies(100), new Array<string>(100).fill(":9\r\n"));
    for (const subscriber of subscribers) {
      assert.deepEqual(await subscriber.replies(100), Array.from({ length: 100 }, (_, i) => message("news", String(i))));
    }
    for (const other of others) {
      assert.equal(await other.ask("PUBSUB", "CHANNELS"), `*1\r\n${bulk("news")}`);
      assert.equal(await other.ask("PUBSUB", "NUMSUB", "news", "none"), `*4\r\n${bulk("news")}:9\r\n${bulk("none")}:0\r\n`);
      assert.equal(await other.ask("PUBLISH", "news", "last"), ":9\r\n");
    }
  } finally {
    for (const client of [...subscribers, publisher, ...others]) client.close();
  }
});

test("who subscribes before another one publishes hears it, though the subscription first needs a connection of its own", async () => {
  for (let round = 0; round < 20; round++) {
    await withTwo(async (subscriber, publisher) => {
      assert.equal(await publisher.ask("PING"), "+PONG\r\n");
      subscriber.send("SUBSCRIBE", "early");
      await pause(2);
      assert.equal(await publisher.ask("PUBLISH", "early", "bird"), ":1\r\n");
      assert.deepEqual(await subscriber.replies(2), [confirmed("subscribe", "early", 1), message("early", "bird")]);
    });
  }
});

test("nobody who publishes waits for a subscriber that does not read", async () => {
  await withTwo(async (subscriber, publisher) => {
    assert.equal(await publisher.ask("SET", "large", "v".repeat(1024 * 1024)), "+OK\r\n");
    subscriber.socket.pause();
    for (let i = 0; i < 64; i++) subscriber.send("GET", "large");
    subscriber.send("SUBSCRIBE", "unread");
    for (let i = 0; i < 30; i++) {
      await pause(10);
      assert.equal(await publisher.ask("PUBLISH", "other", "text"), ":0\r\n");
    }
    subscriber.socket.resume();
    await subscriber.replies(64);
    assert.equal(await subscriber.reply(), confirmed("subscribe", "unread", 1));
  });
});

test("a subscribed connection answers PING, further SUBSCRIBE and UNSUBSCRIBE, and is an ordinary one after the last", async () => {
  await withTwo(async (client, publisher) => {
    assert.equal(await client.ask("SUBSCRIBE", "a"), confirmed("subscribe", "a", 1));
    assert.equal(await client.ask("PING"), `*2\r\n${bulk("pong")}$0\r\n\r\n`);
    assert.equal(await client.ask("PING", "text"), `*2\r\n${bulk("pong")}${bulk("text")}`);
    client.send("SUBSCRIBE", "b", "c");
    assert.deepEqual(await client.replies(2), [confirmed("subscribe", "b", 2), confirmed("subscribe", "c", 3)]);
    assert.equal(await client.ask("UNSUBSCRIBE", "a"), confirmed("unsubscribe", "a", 2));
    await publisher.ask("PUBLISH", "a", "not heard");
    await publisher.ask("PUBLISH", "b", "heard");
    assert.equal(await client.reply(), message("b", "heard"));
    client.send("UNSUBSCRIBE");
    const left = await client.replies(2);
    assert.deepEqual(left.map((reply) => reply.slice(-4)), [":1\r\n", ":0\r\n"]);
    assert.equal(await client.ask("PING"), "+PONG\r\n");
    assert.equal(await client.ask("SET", "k", "v"), "+OK\r\n");
    assert.equal(await client.ask("SUBSCRIBE", "again"), confirmed("subscribe", "again", 1));
  });
});

test("other commands of a subscribed connection are refused: by Redis, or in the guide's words", async () => {
  await withTwo(async (client) => {
    await client.ask("SUBSCRIBE", "a");
    assert.equal(
      await client.ask("GET", "k"),
      "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
    );
    assert.equal(await client.ask("PSUBSCRIBE", "*"), refusal);
    assert.equal(await client.ask("SSUBSCRIBE", "a"), refusal);
    assert.equal(await client.ask("CONFIG", "GET", "*"), refusal);
    assert.match(await client.ask("MGET", "a", "b"), /^-ERR Can't execute 'mget'/);
    assert.match(await client.ask("NONSENSE"), /^-ERR unknown command 'NONSENSE'/);
    assert.equal(await client.ask("SUBSCRIBE"), "-ERR wrong number of arguments for 'subscribe' command\r\n");
  });
});

test("requests sent in one piece before, with and behind SUBSCRIBE are answered in order", async () => {
  await withTwo(async (client) => {
    client.write("SET k 1\r\nSUBSCRIBE a b\r\nPING\r\nCLIENT LIST\r\nUNSUBSCRIBE a b\r\nGET k\r\nPING\r\n");
    assert.deepEqual(await client.replies(9), [
      "+OK\r\n",
      ...[confirmed("subscribe", "a", 1), confirmed("subscribe", "b", 2)],
      `*2\r\n${bulk("pong")}$0\r\n\r\n`,
      refusal,
      ...[confirmed("unsubscribe", "a", 1), confirmed("unsubscribe", "b", 0)],
      ...["$1\r\n1\r\n", "+PONG\r\n"],
    ]);
  });
});

for (const [what, last] of [["QUIT", "+OK\r\n"], ["RESET", "+RESET\r\n"], ["the end of the client's side", undefined]] as const) {
  test(`${what} comes behind the answers to what was sent before it`, async () => {
    await withTwo(async (client) => {
      client.write(`SUBSCRIBE a b\r\nPING\r\n${last === undefined ? "" : `${what}\r\n`}`);
      if (last === undefined) client.socket.end();
      assert.deepEqual(await client.replies(3), [confirmed("subscribe", "a", 1), confirmed("subscribe", "b", 2), `*2\r\n${bulk("pong")}$0\r\n\r\n`]);
      if (last !== undefined) assert.equal(await client.reply(), last);
      if (what !== "RESET") await client.closed();
    });
  });
}

test("QUIT on a subscribed connection answers OK and closes it", async () => {
  await withTwo(async (client) => {
    await client.ask("SUBSCRIBE", "a");
    assert.equal(await client.ask("QUIT"), "+OK\r\n");
    await client.closed();
  });
});

test("RESET on a subscribed connection ends the subscriptions and the login", async () => {
  await withTwo(async (client, publisher) => {
    await client.ask("SUBSCRIBE", "a");
    assert.equal(await client.ask("RESET"), "+RESET\r\n");
    await publisher.ask("PUBLISH", "a", "not heard");
    assert.equal(await client.ask("PING"), "-NOAUTH Authentication required.\r\n");
    assert.equal(await client.ask("AUTH", "alice", fixtures.proxy.target.passwords["alice"]!), "+OK\r\n");
    assert.equal(await client.ask("PING"), "+PONG\r\n");
  });
});

test("a client that leaves ends its subscription in Redis", async () => {
  await withTwo(async (client, publisher) => {
    await client.ask("SUBSCRIBE", "left");
    const numsub = async (): Promise<number> => {
      const counts = await Promise.all(
        fixtures.cluster.nodes.map(async (node) => {
          const direct = fixtures.cluster.direct(node);
          try {
            return Number((await direct.pubsub("NUMSUB", "left"))[1]);
          } finally {
            direct.disconnect();
          }
        }),
      );
      return counts.reduce((a, b) => a + b);
    };
    assert.equal(await numsub(), 1);
    client.close();
    await waitFor("nobody is subscribed", 5_000, async () => (await numsub()) === 0);
    assert.equal(await publisher.ask("PUBLISH", "left", "x"), ":0\r\n");
  });
});

test("channel names and messages are bytes", async () => {
  await withTwo(async (client, publisher) => {
    const channel = "\r\n\0\xff:*3";
    client.send("SUBSCRIBE", Buffer.from(channel, "latin1"), "second");
    assert.deepEqual(await client.replies(2), [confirmed("subscribe", channel, 1), confirmed("subscribe", "second", 2)]);
    const text = "x\r\n".repeat(100_000);
    await publisher.ask("PUBLISH", Buffer.from(channel, "latin1"), text);
    assert.equal(await client.reply(), message(channel, text));
    client.send("UNSUBSCRIBE", "second", Buffer.from(channel, "latin1"));
    await client.replies(2);
    assert.equal(await client.ask("PING"), "+PONG\r\n");
  });
});

test("a channel subscribed to twice counts once, as Redis counts", async () => {
  await withTwo(async (client) => {
    client.send("SUBSCRIBE", "a", "a");
    assert.deepEqual(await client.replies(2), [confirmed("subscribe", "a", 1), confirmed("subscribe", "a", 1)]);
    assert.equal(await client.ask("UNSUBSCRIBE", "a"), confirmed("unsubscribe", "a", 0));
    assert.equal(await client.ask("PING"), "+PONG\r\n");
  });
});
