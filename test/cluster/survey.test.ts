import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { addressKey } from "../../proxy/routing/topology.ts";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor, within } from "../support/wait-for.ts";

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(5);
});
afterEach(() => {
  cluster.close();
});

const mastersOf = (database: ReturnType<MockCluster["database"]>): string[] => database.topology.masters.map(addressKey).sort();

test("a node that says what is new is heard, though a majority that has not heard of it answers sooner", async () => {
  const database = cluster.database();
  await waitFor("the topology is read", 5_000, () => database.topology.masters.length === 5);
  const stale = cluster.clusterNodes();
  // Node 4 has taken over what was node 3's.
  cluster.owners.forEach((owner, slot) => {
    if (owner === 3) cluster.owners[slot] = 4;
  });
  cluster.epoch++;
  for (const index of [0, 1, 2, 3]) cluster.on(index, ([name]) => (name === "CLUSTER" ? stale : null));
  const fresh = cluster.clusterNodes();
  cluster.on(4, ([name], connection) => {
    if (name !== "CLUSTER") return null;
    setTimeout(() => connection.write(fresh), 20);
    return undefined;
  });
  database.refresh();
  await waitFor("another survey is made", 5_000, () => database.counters.refreshes > 0);
  await pause(100);
  assert.deepEqual(mastersOf(database), [0, 1, 2, 4].map((index) => addressKey(cluster.nodes[index]!.address)).sort());
});

test("a node that hangs keeps nobody waiting", async () => {
  const database = cluster.database();
  await waitFor("the topology is read", 5_000, () => database.topology.masters.length === 5);
  cluster.on(4, ([name]) => (name === "CLUSTER" ? undefined : null));
  cluster.owners.forEach((owner, slot) => {
    if (owner === 4) cluster.owners[slot] = 3;
  });
  cluster.epoch++;
  database.refresh();
  await within("the survey", 1_000, waitFor("the others' word is taken", 5_000, () => database.topology.masters.length === 4));
});

test("slots that redirections tell of one by one are one line in the log, not one each", async () => {
  const lines: string[] = [];
  const database = cluster.database({ log: (_level, message) => lines.push(message) });
  const { client } = await cluster.open(database);
  const told = (): number => lines.filter((line) => line === "topology changed").length;
  assert.equal(told(), 1);
  const keys = Array.from({ length: 20 }, (_, i) => cluster.key(0, `k${i}-`));
  const late: (() => void)[] = [];
  let answering = false;
  for (const index of [0, 1, 2, 3, 4]) {
    cluster.on(index, ([name, key], connection) => {
      if (name === "CLUSTER" && !answering) {
        late.push(() => connection.write(cluster.clusterNodes()));
        return undefined;
      }
      return name === "GET" && index === 0 ? cluster.redirection("MOVED", key!, 1) : null;
    });
  }
  for (const key of keys) cluster.owners[cluster.slot(key)] = 1;
  cluster.epoch++;
  for (const key of keys) assert.equal((await client.ask("GET", key))[0], "$");
  assert.equal(told(), 1);
  answering = true;
  for (const answer of late) answer();
  await waitFor("it is told", 10_000, () => {
    database.refresh();
    return told() > 1;
  });
  assert.equal(told(), 2);
});
