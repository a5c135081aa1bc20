import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor } from "../support/wait-for.ts";

const fixtures = clusterBehindProxy(undefined, { limits: { slow_command_ms: 300 } });

/** Samples by name and labels, as one text. */
async function samples(): Promise<Map<string, number>> {
  const lines = (await fixtures.proxy.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

const ofCommand = (suffix: string, command: string, more = ""): string => `redis_access_command_duration_seconds${suffix}{database="example-redis",command="${command}"${more}}`;

test("each command is counted by name, with how long it took, and each error by its word", async () => {
  const client = await RawConnection.open(fixtures.proxy);
  for (let i = 0; i < 20; i++) await client.ask("SET", `key:${i}`, "v");
  await client.ask("CONFIG", "GET", "port");
  await client.ask("LPUSH", "key:1", "v");
  await client.ask("MGET", ...Array.from({ length: 20 }, (_, i) => `key:${i}`));
  await client.ask("EVAL", "local t = redis.call('TIME') repeat local n = redis.call('TIME') until (n[1] - t[1]) * 1000000 + n[2] - t[2] > 400000 return 1", "0");
  await client.ask("BLPOP", "nothing", "0.5");
  client.close();
  const found = await samples();
  assert.equal(found.get(ofCommand("_count", "set")), 20);
  assert.equal(found.get(ofCommand("_bucket", "set", ',le="+Inf"')), 20);
  assert.equal(found.get(ofCommand("_count", "mget")), 1);
  assert.equal(found.get(ofCommand("_count", "config|get")), 1);
  assert.equal(found.get(ofCommand("_bucket", "eval", ',le="0.25"')), 0);
  assert.equal(found.get(ofCommand("_bucket", "eval", ',le="10"')), 1);
  const seconds = found.get(ofCommand("_sum", "eval"))!;
  assert.ok(seconds > 0.4 && seconds < 5, `${seconds} s`);
  assert.equal(found.get('redis_access_error_replies_total{database="example-redis",error="WRONGTYPE"}'), 1);
  assert.equal(found.get('redis_access_error_replies_total{database="example-redis",error="ERR"}'), 1);
  const nodes = fixtures.cluster.nodes.map(({ port }) => found.get(`redis_access_node_reply_duration_seconds_count{database="example-redis",node="127.0.0.1:${port}"}`) ?? 0);
  // The 20 writes, the error and the script; MGET is one GET a key.
  assert.ok(nodes.every((count) => count > 0) && nodes.reduce((sum, count) => sum + count) >= 42, String(nodes));
  for (const [name, value] of found) assert.ok(Number.isFinite(value), name);
});

test("the log tells of a command that took long, but not of one that waits, and not with what", async () => {
  const line = await waitFor("the log tells it", 5_000, () => fixtures.proxy.child.log.split("\n").find((one) => one.includes("slow command")));
  const { command, ms, database } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual([command, database], ["eval", "example-redis"]);
  assert.ok(Number(ms) >= 400);
  const { log } = fixtures.proxy.child;
  assert.ok(!log.includes("blpop") && !log.includes("redis.call"));
});
