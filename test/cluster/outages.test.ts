import assert from "node:assert/strict";
import { test } from "node:test";
import { Outages } from "../../proxy/cluster/outages.ts";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

const seconds = (count: number): number => count * 1_000;

test("a node that stays away is told of once for each reason, and then at growing intervals", () => {
  const outages = new Outages();
  const told: number[] = [];
  for (let at = 0; at < 3 * 86_400; at += 10) if (outages.failed("a:1", "refused", seconds(at)) !== undefined) told.push(at);
  assert.deepEqual(told.slice(0, 7), [0, 60, 180, 420, 900, 1860, 3780]);
  assert.ok(told.slice(7).every((at, index) => at - told[index + 6]! === 3600), told.join());
  assert.deepEqual(outages.failed("b:2", "refused", seconds(5)), {}, "each node by itself");
  assert.deepEqual(outages.failed("b:2", "not trusted", seconds(7)), { failures: 2, downSeconds: 2 });
  assert.equal(outages.failed("b:2", "refused", seconds(8)), undefined);
});

test("a node that is there again is told of once, and its next outage anew", () => {
  const outages = new Outages();
  assert.equal(outages.reached("a:1", 0), undefined);
  outages.failed("a:1", "refused", seconds(1));
  outages.failed("a:1", "refused", seconds(11));
  assert.deepEqual(outages.reached("a:1", seconds(21)), { failures: 2, downSeconds: 20 });
  assert.equal(outages.reached("a:1", seconds(21)), undefined);
  assert.deepEqual(outages.failed("a:1", "refused", seconds(22)), {});
});

test("a node that is down is not in the log each time that it is asked, and is when it is back", async () => {
  const cluster = await MockCluster.start(2);
  try {
    const lines: string[] = [];
    const node = `127.0.0.1:${cluster.nodes[1]!.address.port}`;
    const database = cluster.database({
      topologyRefreshMs: 100,
      log: (level, message, fields) => {
        if (fields["node"] === node) lines.push(`${level} ${message}: ${String(fields["error"])}`);
      },
    });
    await cluster.open(database);
    await waitFor("the proxy has asked it", 5_000, () => cluster.nodes[1]!.connections.size > 0);
    const open = cluster.nodes[1]!.connections.size;
    cluster.nodes[1]!.stop();
    const refreshes = database.counters.refreshes;
    await waitFor("it was asked many times", 10_000, () => database.counters.refreshes > refreshes + 30);
    const refused = lines.filter((line) => line.includes("ECONNREFUSED"));
    assert.deepEqual(refused, [`warn connection to node ended: ${node}: connect ECONNREFUSED ${node}`]);
    assert.equal(lines.length, open + refused.length, lines.join("\n"));
    await cluster.nodes[1]!.restart();
    await waitFor("the proxy has found it", 10_000, () => lines.length > open + 1);
    assert.deepEqual(lines.slice(open + 1), ["info node takes connections again: undefined"]);
  } finally {
    cluster.close();
  }
});
