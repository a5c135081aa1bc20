import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";

// The guide's table, written out once more: a test that read it from the product could not fail.
const refused = `ACL ASKING CLIENT CLUSTER CONFIG DEBUG EXEC HELLO INFO LATENCY MEMORY MIGRATE MODULE MONITOR MULTI PFDEBUG PFSELFTEST
  PSUBSCRIBE PSYNC PUNSUBSCRIBE READONLY READWRITE REPLCONF REPLICAOF ROLE SCAN SHUTDOWN SLAVEOF SLOWLOG SSUBSCRIBE SUNSUBSCRIBE
  SYNC TIME WAIT WATCH`.split(/\s+/);
const refusedSubcommands = [["SCRIPT", "DEBUG"], ["SCRIPT", "KILL"]];
const refusal = "-ERR Teleport: command not supported\r\n";

// The proxy looks at the topology by itself; here it must not, so that whatever a node has executed came from a client.
let client: RawConnection;
const nodes: Redis[] = [];
const fixtures = clusterBehindProxy(threeMasters, { limits: { topology_refresh_ms: 3_600_000 } }, async ({ cluster, proxy }) => {
  client = await RawConnection.open(proxy);
  for (const node of cluster.nodes) nodes.push(cluster.direct(node, "alice", { disableClientInfo: true, enableReadyCheck: false }));
  return () => {
    client.close();
    for (const node of nodes) node.disconnect();
  };
});

/** What the nodes executed, or refused to, while `action` ran; by command, over all nodes. */
async function executedDuring(action: () => Promise<void>): Promise<string[]> {
  await Promise.all(nodes.map((node) => node.config("RESETSTAT")));
  await action();
  const stats = await Promise.all(nodes.map((node) => node.info("commandstats")));
  return stats.flatMap((text) => [...text.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name, calls]) => `${name!}=${calls!}`)).filter((entry) => entry !== "config|resetstat=1");
}

test("the nodes' own counters show what passes the proxy", async () => {
  const executed = await executedDuring(async () => {
    assert.equal(await client.ask("GET", "k"), "$-1\r\n");
  });
  assert.ok(executed.includes("get=1"), executed.join());
});

for (const words of [...refused.map((word) => [word]), ...refusedSubcommands]) {
  test(`${words.join(" ")} is refused in the guide's words, in any case and with any arguments, and no node hears of it`, async () => {
    const mixed = (word: string): string => word.replace(/(.)(.?)/g, (_, first: string, second: string) => first.toLowerCase() + second);
    const spellings = [words, words.map((word) => word.toLowerCase()), words.map(mixed)];
    const argumentLists = [[], ["GET"], ["a", "1", "{b}c"], Array.from({ length: 40 }, (_, i) => `argument ${i}`), ["\r\n\0\xff"]];
    const executed = await executedDuring(async () => {
      for (const spelling of spellings) {
        for (const args of argumentLists) assert.equal(await client.ask(...spelling, ...args), refusal, JSON.stringify([...spelling, ...args]));
      }
      client.write(`${words.join(" ")} inline\r\n`);
      assert.equal(await client.reply(), refusal);
    });
    assert.deepEqual(executed, []);
  });
}

test("refused commands keep their place in a pipeline, and those around them are executed", async () => {
  client.write("SET a 1\r\nMULTI\r\nINCR a\r\nEXEC\r\nGET a\r\nCONFIG GET *\r\nDEL a\r\n");
  assert.deepEqual(await client.replies(7), ["+OK\r\n", refusal, ":2\r\n", refusal, "$1\r\n2\r\n", refusal, ":1\r\n"]);
});

test("a refused command is refused before the login as well, in Redis's words; HELLO in the guide's", async () => {
  const stranger = await RawConnection.anonymous(fixtures.proxy);
  try {
    assert.equal(await stranger.ask("CONFIG", "GET", "*"), "-NOAUTH Authentication required.\r\n");
    assert.equal(await stranger.ask("HELLO", "3"), refusal);
    assert.equal(await stranger.ask("hello"), refusal);
  } finally {
    stranger.close();
  }
});

test("names that only begin like a refused command go to Redis, with its own answer", async () => {
  assert.match(await client.ask("INFOX"), /^-ERR unknown command 'INFOX'/);
  assert.match(await client.ask("SCRIPTDEBUG"), /^-ERR unknown command 'SCRIPTDEBUG'/);
  assert.match(await client.ask("HSCAN", "nothing", "0"), /^\*2\r\n/);
});

test("other subcommands of a container with refused ones go through", async () => {
  assert.match(await client.ask("SCRIPT", "HELP"), /^\*\d+\r\n/);
  assert.equal(await client.ask("SCRIPT", "NONSENSE"), "-ERR unknown subcommand 'NONSENSE'. Try SCRIPT HELP.\r\n");
  assert.equal(await client.ask("SCRIPT"), "-ERR wrong number of arguments for 'script' command\r\n");
});
