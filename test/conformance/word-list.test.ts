import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import type { Cluster, Redis } from "ioredis";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { onEach } from "../support/keys.ts";

/** Debian's package wamerican: some 100,000 words, some of them with apostrophes and letters beyond ASCII. */
const words = readFileSync("/usr/share/dict/american-english", "utf8").trim().split("\n");
/** What is stored under a word: tells one word from all others. */
const valueOf = (index: number): string => `${index}: ${words[index]!}`;
/** Requests that a client has on their way at a time. */
const batch = 5_000;
const limitMs = 30_000;

let throughProxy: Redis;
let direct: Cluster;
const fixtures = clusterBehindProxy({}, {}, ({ cluster, proxy }) => {
  throughProxy = proxy.client();
  direct = cluster.clusterClient();
  return Promise.resolve(() => {
    throughProxy.disconnect();
    direct.disconnect();
  });
});

/** Has `action` done for each word, many at a time; what came of it in the order of the words. */
async function forEachWord<T>(action: (word: string, index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let from = 0; from < words.length; from += batch) {
    results.push(...(await Promise.all(words.slice(from, from + batch).map((word, i) => action(word, from + i)))));
  }
  return results;
}

/** Fails with the first few words whose value is wrong: a comparison of all of them would take minutes to print. */
function assertValues(found: readonly (string | null)[]): void {
  assert.equal(found.length, words.length);
  const wrong = words.flatMap((word, i) => (found[i] === valueOf(i) ? [] : [{ word, found: found[i] }]));
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} words are not as they were written`);
}

/** Writes the list by pipelines of ioredis. */
async function writeByIoredis(): Promise<void> {
  for (let from = 0; from < words.length; from += batch) {
    const pipelined = throughProxy.pipeline();
    for (const [i, word] of words.slice(from, from + batch).entries()) pipelined.set(word, valueOf(from + i));
    const results = (await pipelined.exec())!;
    assert.deepEqual(results.filter(([error, reply]) => error !== null || reply !== "OK").slice(0, 5), []);
  }
}

/** Writes the list by `redis-cli --pipe`: every second word as RESP, as its manual advises, the others as lines that a person types. */
async function writeByRedisCli(): Promise<void> {
  const { proxy, cluster } = fixtures;
  const quoted = (argument: string): string => `"${argument.replace(/["\\]/g, "\\$&")}"`;
  const commands = words.map((word, i) => (i % 2 === 0 ? encodeCommand(["SET", word, valueOf(i)]) : Buffer.from(`SET ${quoted(word)} ${quoted(valueOf(i))}\r\n`)));
  const child = spawn("redis-cli", [...proxy.redisCliArguments(), "--pipe"], { env: { ...process.env, REDISCLI_AUTH: cluster.passwords["alice"]! }, timeout: limitMs });
  const [said, complaints] = await Promise.all([text(child.stdout), text(child.stderr), pipeline(Readable.from([Buffer.concat(commands)]), child.stdin)]);
  assert.match(said + complaints, new RegExp(`errors: 0, replies: ${words.length}\n`));
}

for (const [how, write] of [["pipelines of ioredis", writeByIoredis], ["redis-cli --pipe", writeByRedisCli]] as const) {
  describe(`${words.length} words written through the proxy by ${how}`, { timeout: limitMs }, () => {
    before(write);
    after(() => throughProxy.flushall());

    test("are read back through the proxy, word by word", async () => {
      assertValues(await forEachWord((word) => throughProxy.get(word)));
    });

    test("are read directly from the nodes, word by word", async () => {
      assertValues(await forEachWord((word) => direct.get(word)));
    });

    test("are counted by DBSIZE, as the masters themselves count them", async () => {
      assert.equal(await throughProxy.dbsize(), words.length);
      const { cluster } = fixtures;
      const sizes = (await onEach(cluster, await cluster.masters(), "DBSIZE")).map(Number);
      assert.equal(sizes.reduce((a, b) => a + b), words.length);
      assert.ok(sizes.every((size) => size > words.length / 4), `the words lie on all masters: ${sizes.join()}`);
    });

    test("are listed by KEYS, each once", async () => {
      const listed = await throughProxy.keys("*");
      assert.equal(listed.length, words.length);
      const all = new Set(listed);
      assert.deepEqual(words.filter((word) => !all.has(word)).slice(0, 5), []);
      const pattern = /^[Qq]u.*ly$/;
      assert.deepEqual((await throughProxy.keys("[Qq]u*ly")).sort(), words.filter((word) => pattern.test(word)).sort());
    });

    test("are fetched by one MGET of them all, nearly every slot among theirs, in the order asked, with nil for what is no word", async () => {
      const found = await throughProxy.mget(...words, "no such word");
      assert.equal(found.pop(), null);
      assertValues(found);
    });

    test("are gone after FLUSHALL, from every master", async () => {
      assert.equal(await throughProxy.flushall(), "OK");
      assert.equal(await throughProxy.dbsize(), 0);
      const { cluster } = fixtures;
      assert.deepEqual(await onEach(cluster, await cluster.masters(), "DBSIZE"), [0, 0, 0]);
      assert.equal(await throughProxy.get(words[0]!), null);
    });
  });
}
