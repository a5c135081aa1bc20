import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";
import { MockNode } from "../support/mock-node.ts";

let cluster: MockCluster;
let stranger: MockNode;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
  stranger = await MockNode.start(() => "+OK\r\n");
});
afterEach(() => {
  cluster.close();
  stranger.stop();
});

for (const word of ["MOVED", "ASK"]) {
  test(`${word} to an address that no node names is not followed: a script's error could name any, and would be given a login`, async () => {
    const key = cluster.key(0);
    const error = `-${word} ${cluster.slot(key)} 127.0.0.1:${stranger.address.port}\r\n`;
    const { client } = await cluster.open(cluster.database({ retryBudgetMs: 300 }));
    cluster.on(0, ([name]) => (name === "SET" ? error : null));
    assert.equal(await client.ask("SET", key, "v"), error);
    assert.equal(stranger.accepted, 0);
  });
}

test("a redirection to a port that cannot be one is an answer like others", async () => {
  const key = cluster.key(0);
  const error = `-MOVED ${cluster.slot(key)} 127.0.0.1:99999\r\n`;
  const { client } = await cluster.open(cluster.database());
  cluster.on(0, ([name]) => (name === "SET" ? error : null));
  assert.equal(await client.ask("SET", key, "v"), error);
});

test("a standalone server's MOVED and READONLY are the client's answer, at once", async () => {
  for (const error of [`-MOVED 1 127.0.0.1:${stranger.address.port}\r\n`, "-READONLY You can't write against a read only replica.\r\n"]) {
    const { client } = await cluster.open(cluster.database({ mode: "standalone" }));
    cluster.on(0, ([name]) => (name === "SET" ? error : null));
    const before = cluster.nodes[0]!.got("SET").length;
    assert.equal(await client.ask("SET", "k", "v"), error);
    assert.equal(cluster.nodes[0]!.got("SET").length, before + 1);
  }
  assert.equal(stranger.accepted, 0);
});

test("on a session's own connection an error never has the command sent over another, where its database is not selected", async () => {
  const { client } = await cluster.open(cluster.database({ mode: "standalone" }));
  let asked = 0;
  cluster.on(0, ([name]) => (name === "SET" && ++asked === 1 ? "-LOADING Redis is loading the dataset in memory\r\n" : null));
  await client.ask("SELECT", "1");
  assert.match(await client.ask("SET", "k", "v"), /^-LOADING /);
  assert.equal(asked, 1);
});
