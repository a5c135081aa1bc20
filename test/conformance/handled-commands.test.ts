import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { keyOnEachMaster, onEach } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";

let client: RawConnection;
let keys: string[];
const fixtures = clusterBehindProxy(threeMasters, {}, async ({ cluster, proxy }) => {
  client = await RawConnection.open(proxy);
  keys = [...(await keyOnEachMaster(cluster, "key:")).values()];
  return () => {
    client.close();
  };
});
const onNodes = (...command: [string, ...string[]]): Promise<unknown[]> => onEach(fixtures.cluster, fixtures.cluster.nodes, ...command);
const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const script = "return redis.call('INCR', KEYS[1])";
const sha = createHash("sha1").update(script).digest("hex");
const unknownSha = "0".repeat(40);

beforeEach(async () => {
  await onNodes("FLUSHALL");
  await onNodes("SCRIPT", "FLUSH");
});

async function fill(count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `fill:${i}`);
  for (const name of names) client.send("SET", name, name);
  assert.deepEqual(new Set(await client.replies(count)), new Set(["+OK\r\n"]));
  return names;
}

test("DBSIZE is the sum over all masters", async () => {
  assert.equal(await client.ask("DBSIZE"), ":0\r\n");
  await fill(100);
  const sizes = (await onNodes("DBSIZE")).map(Number);
  assert.ok(sizes.every((size) => size > 0), `the keys lie on all masters: ${sizes.join()}`);
  assert.equal(sizes.reduce((a, b) => a + b), 100);
  assert.equal(await client.ask("DBSIZE"), ":100\r\n");
  assert.equal(await client.ask("dbsize", "extra"), "-ERR wrong number of arguments for 'dbsize' command\r\n");
});

test("KEYS lists the keys of all masters that match, each once", async () => {
  assert.equal(await client.ask("KEYS", "*"), "*0\r\n");
  const names = await fill(50);
  const listed = (reply: string): string[] => [...reply.matchAll(/\$\d+\r\n(.*)\r\n/g)].map(([, name]) => name!);
  const all = await client.ask("KEYS", "*");
  assert.match(all, /^\*50\r\n/);
  assert.deepEqual(listed(all).sort(), names.sort());
  assert.deepEqual(listed(await client.ask("keys", "fill:4?")).sort(), names.filter((name) => /^fill:4.$/.test(name)).sort());
});

test("MGET gets each key from its owner, in the order asked, twice where asked twice, nil where there is none", async () => {
  const [a, b, c] = keys as [string, string, string];
  const value = "a\r\n\0\xff";
  await client.ask("SET", a, Buffer.from(value, "latin1"));
  await client.ask("SET", c, "");
  assert.equal(await client.ask("MGET", c, a, b, a), `*4\r\n$0\r\n\r\n$5\r\n${value}\r\n$-1\r\n$5\r\n${value}\r\n`);
  assert.equal(await client.ask("mget", b), "*1\r\n$-1\r\n");
  assert.equal(await client.ask("MGET"), "-ERR wrong number of arguments for 'mget' command\r\n");
});

test("MGET of a key of another type is an error as a whole", async () => {
  const [a, b] = keys as [string, string];
  await client.ask("SET", a, "1");
  await client.ask("LPUSH", b, "1");
  const wrongType = "-ERR Teleport: WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
  assert.equal(await client.ask("MGET", a, b), wrongType);
  assert.equal(await client.ask("MGET", b), wrongType);
  assert.equal(await client.ask("MGET", a), "*1\r\n$1\r\n1\r\n");
});

test("MGET keeps its place between writes to the same keys", async () => {
  for (let i = 0; i < 50; i++) {
    for (const key of keys) client.send("SET", key, String(i));
    client.send("MGET", ...keys);
  }
  for (let i = 0; i < 50; i++) {
    await client.replies(3);
    assert.equal(await client.reply(), `*3\r\n${bulk(String(i)).repeat(3)}`);
  }
});

for (const command of [["FLUSHDB"], ["FLUSHALL"], ["flushdb", "ASYNC"], ["FlushAll", "sync"]]) {
  test(`${command.join(" ")} empties every master`, async () => {
    await fill(60);
    assert.equal(await client.ask(...command), "+OK\r\n");
    assert.deepEqual((await onNodes("DBSIZE")).map(Number), [0, 0, 0]);
  });
}

test("FLUSHALL with an option that Redis does not know is its error, and nothing is lost", async () => {
  await fill(30);
  assert.equal(await client.ask("FLUSHALL", "NOW"), "-ERR syntax error\r\n");
  assert.equal(await client.ask("DBSIZE"), ":30\r\n");
});

test("SCRIPT LOAD loads the script on every master, so that EVALSHA finds it for any key", async () => {
  assert.equal(await client.ask("SCRIPT", "LOAD", script), bulk(sha));
  assert.deepEqual(await onNodes("SCRIPT", "EXISTS", sha), [[1], [1], [1]]);
  for (const key of keys) assert.equal(await client.ask("EVALSHA", sha, "1", key), ":1\r\n");
  assert.match(await client.ask("SCRIPT", "LOAD", "return ("), /^-ERR Error compiling script/);
});

test("SCRIPT LOAD without a body is Redis's error, and the connection goes on", async () => {
  assert.equal(await client.ask("SCRIPT", "LOAD"), "-ERR wrong number of arguments for 'script|load' command\r\n");
  assert.equal(await client.ask("PING"), "+PONG\r\n");
});

test("SCRIPT EXISTS is 1 only where every master has the script, as integers in the order asked", async () => {
  assert.equal(await client.ask("SCRIPT", "EXISTS", sha, unknownSha), "*2\r\n:0\r\n:0\r\n");
  await onEach(fixtures.cluster, fixtures.cluster.nodes.slice(0, 2), "SCRIPT", "LOAD", script);
  assert.equal(await client.ask("SCRIPT", "EXISTS", sha), "*1\r\n:0\r\n");
  await onNodes("SCRIPT", "LOAD", script);
  assert.equal(await client.ask("script", "exists", unknownSha, sha), "*2\r\n:0\r\n:1\r\n");
});

for (const options of [[], ["ASYNC"], ["SYNC"], ["async"]]) {
  test(`${["SCRIPT FLUSH", ...options].join(" ")} answers OK and empties the script cache of every master`, async () => {
    await client.ask("SCRIPT", "LOAD", script);
    assert.equal(await client.ask("SCRIPT", "FLUSH", ...options), "+OK\r\n");
    assert.deepEqual(await onNodes("SCRIPT", "EXISTS", sha), [[0], [0], [0]]);
  });
}

test("FUNCTION LOAD reaches every master, so that FCALL finds it for any key", async () => {
  const library = "#!lua name=counting\nredis.register_function('count', function(keys) return redis.call('INCR', keys[1]) end)";
  assert.equal(await client.ask("FUNCTION", "LOAD", "REPLACE", library), bulk("counting"));
  for (const listed of await onNodes("FUNCTION", "LIST")) assert.match(JSON.stringify(listed), /counting/);
  for (const key of keys) assert.equal(await client.ask("FCALL", "count", "1", key), ":1\r\n");
  assert.equal(await client.ask("FUNCTION", "DELETE", "counting"), "+OK\r\n");
  for (const listed of await onNodes("FUNCTION", "LIST")) assert.deepEqual(listed, []);
});
