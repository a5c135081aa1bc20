import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

let cluster: MockCluster;
before(async () => {
  cluster = await MockCluster.start(2);
});
after(() => {
  cluster.close();
});

test("where the service user is not let in any more, as after a rotation of its password, clients that stay are told of the topology all the same", async () => {
  const own: Socket[] = [];
  let revoked = false;
  for (const index of [0, 1]) {
    cluster.on(index, ([name, user], connection) => {
      if (name !== "AUTH" || user !== "proxy") return null;
      own.push(connection);
      return revoked ? "-WRONGPASS invalid username-password pair or user is disabled.\r\n" : null;
    });
  }
  const database = cluster.database();
  const { client } = await cluster.open(database);
  const key = cluster.key(0);
  assert.match(await client.ask("GET", key), /^\$/);
  revoked = true;
  for (const connection of own.splice(0)) connection.destroy();
  await waitFor("the service user was refused", 5_000, () => own.length > 0 || (database.refresh(), false));
  cluster.owners.fill(1);
  cluster.epoch++;
  const before = database.epoch;
  await waitFor("the new topology is known", 5_000, () => database.epoch > before || (database.refresh(), false));
  assert.match(await client.ask("GET", key), /^\$/);
  assert.equal(cluster.nodes[0]!.got("GET").length, 1, "the node that lost its slots is not asked again");
});
