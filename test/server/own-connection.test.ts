import assert from "node:assert/strict";
import { test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";

test("a command that leaves state behind never goes to the connection that others share, where no other can be had", async () => {
  const cluster = await MockCluster.start(1);
  try {
    const { client } = await cluster.open(cluster.database({ mode: "standalone", retryBudgetMs: 100 }));
    await client.ask("GET", "a");
    cluster.on(0, ([name], connection) => {
      if (name !== "AUTH") return null;
      connection.destroy();
      return undefined;
    });
    assert.match(await client.ask("BLPOP", "list", "0"), /^-ERR Teleport: the server cannot be reached/);
    assert.match(await client.ask("MULTI"), /^-ERR Teleport: the server cannot be reached/);
    assert.deepEqual(cluster.nodes[0]!.got("MULTI"), []);
    assert.equal((await client.ask("GET", "a"))[0], "$");
  } finally {
    cluster.close();
  }
});
