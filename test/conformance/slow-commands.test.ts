import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { keyOnEachMaster } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";

let keys: [string, string, string];
const fixtures = clusterBehindProxy(threeMasters, {}, async ({ cluster }) => {
  keys = [...(await keyOnEachMaster(cluster, "key:")).values()] as typeof keys;
  return () => undefined;
});

/** Keeps its node busy for a time in milliseconds, by the node's own clock, and counts how often it was run. */
const busyScript = `
  local function now() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end
  local count, till = redis.call('INCR', KEYS[1]), now() + ARGV[1]
  repeat for i = 1, 10000 do end until now() >= till
  return count`;

/** Gives clients that are closed in the end. */
async function withClients(count: number, use: (...clients: RawConnection[]) => Promise<void>): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, () => RawConnection.open(fixtures.proxy)));
  try {
    await use(...clients);
  } finally {
    for (const client of clients) client.close();
  }
}

test("a script of four seconds runs once, and its reply comes to the client that sent it", async () => {
  await withClients(2, async (client, other) => {
    const [slow, fast] = keys;
    const started = performance.now();
    client.send("EVAL", busyScript, "1", slow, "4000");
    let others = 0;
    // The other nodes serve on meanwhile.
    while (client.waiting === 0 && performance.now() - started < 10_000) {
      assert.equal(await other.ask("INCR", fast), `:${++others}\r\n`);
    }
    assert.equal(await client.reply(), ":1\r\n");
    assert.ok(performance.now() - started >= 3_900);
    assert.ok(others > 100, `${others} commands of another client`);
    assert.equal(await client.ask("GET", slow), "$1\r\n1\r\n");
  });
});

test("BLPOP waits for 13 seconds, gets the one value that is pushed, and the connection goes on", async () => {
  await withClients(2, async (client, pusher) => {
    const [, list] = keys;
    const waiting = `{${list}}:list`;
    client.send("BLPOP", waiting, "20");
    client.send("ECHO", "behind it");
    const pushed = new Promise((resolve) => setTimeout(resolve, 13_000)).then(() => pusher.ask("RPUSH", waiting, "first", "second"));
    assert.equal(await client.reply(), `*2\r\n$${waiting.length}\r\n${waiting}\r\n$5\r\nfirst\r\n`);
    assert.equal(await pushed, ":2\r\n");
    assert.equal(await client.reply(), "$9\r\nbehind it\r\n");
    assert.equal(await client.ask("LRANGE", waiting, "0", "-1"), "*1\r\n$6\r\nsecond\r\n");
  });
});

test("fifty clients that wait in BLPOP hold nobody up, and each gets one value", async () => {
  await withClients(51, async (other, ...waiting) => {
    const lists = waiting.map((_, i) => `list:${i}`);
    waiting.forEach((client, i) => {
      client.send("BLPOP", lists[i]!, "20");
    });
    for (let i = 0; i < 100; i++) for (const key of keys) assert.match(await other.ask("SET", key, String(i)), /^\+OK/);
    for (const list of lists) assert.equal(await other.ask("RPUSH", list, `for ${list}`), ":1\r\n");
    for (const [i, client] of waiting.entries()) assert.match(await client.reply(), new RegExp(`\r\nfor ${lists[i]!}\r\n$`));
  });
});
