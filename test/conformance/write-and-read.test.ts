import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TestProxy } from "../support/access-proxy.ts";
import { TestCluster } from "../support/redis-cluster.ts";

let cluster: TestCluster;
let proxy: TestProxy;

before(async () => {
  cluster = await TestCluster.start();
  proxy = await TestProxy.start(cluster);
});
after(async () => {
  await proxy.stop();
  await cluster.stop();
});

test("what is written through the proxy can be read through it and directly from the nodes", async () => {
  const client = proxy.client();
  const direct = cluster.clusterClient();
  try {
    assert.equal(await client.set("greeting", "hello"), "OK");
    assert.equal(await client.get("greeting"), "hello");
    assert.equal(await direct.get("greeting"), "hello");
  } finally {
    client.disconnect();
    direct.disconnect();
  }
});
