import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

let cluster: MockCluster;
let openedAt = 0;
beforeEach(async () => {
  openedAt = performance.now();
  cluster = await MockCluster.start(3);
});
afterEach(() => {
  cluster.close();
});

test("after MOVED told of one slot, a command for every master waits until it is known who owns the others", async () => {
  const key = cluster.key(1);
  const database = cluster.database();
  const { client } = await cluster.open(database);
  // A survey that has just been made: the next one, at the redirection, comes a moment later.
  database.refresh();
  await waitFor("the topology was read", 5_000, () => database.counters.refreshes === 1);
  // Node 2 has taken over all that was node 1's, which still holds what it had.
  cluster.owners.forEach((owner, slot) => {
    if (owner === 1) cluster.owners[slot] = 2;
  });
  cluster.epoch++;
  cluster.on(1, ([name]) => (name === "GET" ? cluster.redirection("MOVED", key, 2) : null));
  await client.ask("GET", key);
  assert.equal(await client.ask("DBSIZE"), ":2\r\n");
  assert.deepEqual(cluster.nodes.map((node) => node.got("DBSIZE").length), [1, 0, 1]);
});

test("a master that has become a replica is not asked for its part, though no redirection has told of it", async () => {
  const { client } = await cluster.open(cluster.database());
  await waitFor("the topology is a while old", 5_000, async () => {
    await client.ask("PING");
    return performance.now() - openedAt > 1_100;
  });
  cluster.owners.forEach((owner, slot) => {
    if (owner === 1) cluster.owners[slot] = 2;
  });
  cluster.epoch++;
  assert.equal(await client.ask("DBSIZE"), ":2\r\n");
  assert.equal(cluster.nodes[1]!.got("DBSIZE").length, 0);
});

for (const [command, whole] of [["DBSIZE", ":2\r\n"], ["KEYS *", "*2\r\n$1\r\na\r\n$1\r\na\r\n"]] as const) {
  test(`where a master is lost whose slots have all gone to another one meanwhile, ${command} counts that one once`, async () => {
    const { client } = await cluster.open(cluster.database());
    cluster.nodes.forEach((_, node) => {
      cluster.on(node, ([name], connection) => {
        if (node !== 1 || (name !== "DBSIZE" && name !== "KEYS")) return name === "KEYS" ? "*1\r\n$1\r\na\r\n" : null;
        cluster.owners.forEach((owner, slot) => {
          if (owner === 1) cluster.owners[slot] = 2;
        });
        cluster.epoch++;
        connection.destroy();
        return undefined;
      });
    });
    assert.equal(await client.ask(...command.split(" ")), whole);
  });
}

for (const word of ["MOVED", "ASK"] as const) {
  for (const [command, reply, whole] of [["DBSIZE", ":1\r\n", ":3\r\n"], ["KEYS *", "*1\r\n$1\r\na\r\n", "*3\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"]] as const) {
    test(`after ${word} showed that keys come to a master, ${command} asks that one when the others have answered`, async () => {
      const key = cluster.key(1);
      const { client } = await cluster.open(cluster.database());
      cluster.on(1, ([name]) => (name === "GET" ? cluster.redirection(word, key, 2) : null));
      if (word === "MOVED") {
        cluster.owners[cluster.slot(key)] = 2;
        cluster.epoch++;
      }
      assert.equal((await client.ask("GET", key))[0], "$");
      const [name] = command.split(" ");
      cluster.on(2, ([asked]) => (asked === name ? reply : null));
      let before = 0;
      for (const node of [0, 1]) {
        cluster.on(node, ([asked], connection) => {
          if (asked !== name) return null;
          setTimeout(() => {
            before += cluster.nodes[2]!.got(name!).length;
            connection.write(reply);
          }, 30 * (node + 1));
          return undefined;
        });
      }
      assert.equal(await client.ask(...command.split(" ")), whole);
      assert.deepEqual([before, cluster.nodes[2]!.got(name!).length], [0, 1]);
    });
  }
}
