/** What a node has in its append-only file, it has again after a restart. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { renderPemBundle } from "../../components/pem-bundle.ts";
import { fullAccessRules, renderUsersAcl } from "../../components/users-acl.ts";
import { makeAuthorities, makeLeaf } from "../support/certificates.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { TestServer } from "../support/redis-server.ts";

const password = "fedcba9876543210".repeat(4);

test("transactions and scripts of several writes are in the append-only file, and come back with it, though the user default is switched off", async () => {
  const authorities = await makeAuthorities();
  const directory = mkdtempSync(join(tmpdir(), "redis-access-append-only-"));
  const [port] = await findFreePorts(1, 10_000);
  const node = new TestServer({
    ...{ directory: join(directory, "node"), port: port!, replicationPassword: password, clusterEnabled: false, parameters: { save: "", appendonly: true } },
    certificate: await makeLeaf(authorities, "redis", { commonName: "127.0.0.1" }),
    caPem: authorities.redis.certPem,
    bundle: renderPemBundle([authorities.redis.certPem], [authorities.db_client.certPem]),
    acl: renderUsersAcl([{ name: "alice", passwords: [password], rules: fullAccessRules }], { appendOnly: true }),
  });
  try {
    const client = node.client("alice", password);
    await node.answers(client);
    await client.set("plain", "1");
    await client.eval("redis.call('SET', KEYS[1], '1'); redis.call('SET', KEYS[2], '1')", 2, "script:1", "script:2");
    await client.multi().set("transaction:1", "1").set("transaction:2", "1").exec();
    client.disconnect();
    await node.child.stop();
    node.restart();
    const after = node.client("alice", password);
    await node.answers(after);
    assert.deepEqual((await after.keys("*")).sort(), ["plain", "script:1", "script:2", "transaction:1", "transaction:2"]);
    for (const user of ["default", "nobody"]) await assert.rejects(after.auth(user, ""), /WRONGPASS/);
    after.disconnect();
  } finally {
    await node.child.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
