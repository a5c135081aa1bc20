import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { keyOnEachMaster } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";

let keys: string[];
const fixtures = clusterBehindProxy(threeMasters, {}, async ({ cluster }) => {
  keys = [...(await keyOnEachMaster(cluster, "key:")).values()];
  return () => undefined;
});
const open = (): Promise<RawConnection> => RawConnection.open(fixtures.proxy);

/** Keeps its node busy for half a second or so. */
const busyScript = "local n = 0 while n < 50000000 do n = n + 1 end return redis.call('INCR', KEYS[1])";

test("replies come in the order of the requests, however slow one node is; other clients of the fast nodes do not wait", async () => {
  const [client, other] = await Promise.all([open(), open()]);
  const [slow, fast] = keys as [string, string];
  try {
    client.send("EVAL", busyScript, "1", slow);
    for (let i = 0; i < 20; i++) client.send("INCR", fast);
    client.send("MGET", slow, fast);
    assert.equal(await other.ask("SET", `{${fast}}`, "1"), "+OK\r\n");
    assert.equal(client.waiting, 0, "the other client was served before the script had ended");
    assert.deepEqual(await client.replies(22), [":1\r\n", ...Array.from({ length: 20 }, (_, i) => `:${i + 1}\r\n`), "*2\r\n$1\r\n1\r\n$2\r\n20\r\n"]);
  } finally {
    client.close();
    other.close();
  }
});

test("a pipeline of 20,000 requests over all nodes, sent in one piece, is answered in order", async () => {
  const client = await open();
  try {
    const lines = Array.from({ length: 10_000 }, (_, i) => `INCRBY many:${i % 500} ${i}\r\nGET many:${i % 500}\r\n`);
    client.write(lines.join(""));
    const sums = new Array<number>(500).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const sum = (sums[i % 500]! += i);
      assert.equal(await client.reply(), `:${sum}\r\n`);
      assert.equal(await client.reply(), `$${String(sum).length}\r\n${sum}\r\n`);
    }
  } finally {
    client.close();
  }
});

test("KEYS sees what was written before it in the pipeline, and nothing of what is written behind it", async () => {
  const client = await open();
  try {
    // The connections that everything but KEYS shares are there before the first that KEYS takes.
    for (const key of keys) await client.ask("DEL", `{${key}}line`);
    for (let round = 0; round < 20; round++) {
      for (const key of keys) {
        client.send("KEYS", `{${key}}line*`);
        client.send("SET", `{${key}}line`, "1");
      }
      for (const key of keys) {
        client.send("KEYS", `{${key}}line*`);
        client.send("DEL", `{${key}}line`);
      }
      assert.deepEqual(await client.replies(2 * keys.length), keys.flatMap(() => ["*0\r\n", "+OK\r\n"]));
      for (const key of keys) assert.deepEqual(await client.replies(2), [`*1\r\n$${key.length + 6}\r\n{${key}}line\r\n`, ":1\r\n"]);
    }
  } finally {
    client.close();
  }
});

test("a command that is sent in halves waits for nobody but its own client", async () => {
  const [client, other] = await Promise.all([open(), open()]);
  try {
    client.write("*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nab");
    assert.equal(await other.ask("EXISTS", "half"), ":0\r\n");
    client.write("cde");
    assert.equal(await other.ask("EXISTS", "half"), ":0\r\n");
    client.write("\r");
    client.write("\n");
    assert.equal(await client.reply(), "+OK\r\n");
    assert.equal(await other.ask("GET", "half"), "$5\r\nabcde\r\n");
  } finally {
    client.close();
    other.close();
  }
});

test("a command that its client leaves half-sent is not executed; those before it are", async () => {
  const [client, other] = await Promise.all([open(), open()]);
  try {
    client.write("SET left:whole 1\r\n*3\r\n$3\r\nSET\r\n$9\r\nleft:half\r\n$5\r\nab");
    assert.equal(await client.reply(), "+OK\r\n");
    client.close();
    assert.equal(await other.ask("GET", "left:whole"), "$1\r\n1\r\n");
    assert.equal(await other.ask("EXISTS", "left:half"), ":0\r\n");
  } finally {
    other.close();
  }
});

test("a client that ends its side gets every reply before the connection is closed", async () => {
  const client = await open();
  for (let i = 0; i < 1_000; i++) client.write(`INCR ended:${i % 3}\r\n`);
  client.socket.end();
  const replies = await client.replies(1_000);
  assert.equal(replies.at(-1), ":334\r\n");
  await client.closed();
});

test("a hundred clients that leave in the middle of large replies leave nothing behind for others", async () => {
  const other = await open();
  try {
    assert.equal(await other.ask("SET", "large", Buffer.alloc(1_000_000, "v")), "+OK\r\n");
    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all(Array.from({ length: 10 }, open));
      for (const client of clients) {
        client.socket.once("data", () => {
          client.close();
        });
        for (let i = 0; i < 5; i++) client.send("GET", "large");
      }
      for (let i = 0; i < 10; i++) assert.equal(await other.ask("INCR", `round:${round}`), `:${i + 1}\r\n`);
      await Promise.all(clients.map((client) => client.closed()));
    }
    assert.equal(await other.ask("STRLEN", "large"), ":1000000\r\n");
  } finally {
    other.close();
  }
});

test("a hundred sessions of one user share a few connections to each node", async () => {
  const clients = await Promise.all(Array.from({ length: 100 }, open));
  try {
    for (const client of clients) for (const key of keys) client.send("GET", key);
    await Promise.all(clients.map((client) => client.replies(keys.length)));
    const made = /^redis_access_upstream_connections.* (\d+)$/m.exec(await fixtures.proxy.metrics());
    assert.ok(Number(made![1]) <= 10, made![0]);
  } finally {
    for (const client of clients) client.close();
  }
});
