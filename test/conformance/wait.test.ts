/** WAIT in front of a single server, whose clients share a connection. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { renderPemBundle } from "../../components/pem-bundle.ts";
import { fullAccessRules, renderUsersAcl } from "../../components/users-acl.ts";
import { TestProxy } from "../support/access-proxy.ts";
import { makeAuthorities, makeLeaf } from "../support/certificates.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { TestServer } from "../support/redis-server.ts";
import { waitFor } from "../support/wait-for.ts";

const directory = mkdtempSync(join(tmpdir(), "redis-access-wait-"));
let master: TestServer;
let replica: TestServer;
let proxy: TestProxy;

before(async () => {
  const authorities = await makeAuthorities();
  const passwords = Object.fromEntries(["alice", "proxy", "replica-user"].map((name) => [name, randomBytes(32).toString("hex")]));
  const acl = renderUsersAcl(Object.entries(passwords).map(([name, password]) => ({ name, passwords: [password], rules: fullAccessRules })));
  const bundle = renderPemBundle([authorities.redis.certPem], [authorities.db_client.certPem]);
  const [first, second] = await findFreePorts(2);
  const makeServer = async (port: number): Promise<TestServer> =>
    new TestServer({
      ...{ directory: join(directory, String(port)), port, acl, bundle, caPem: authorities.redis.certPem, clusterEnabled: false },
      certificate: await makeLeaf(authorities, "redis", { commonName: "127.0.0.1" }),
      replicationPassword: passwords["replica-user"]!,
    });
  master = await makeServer(first!);
  replica = await makeServer(second!);
  const [ofMaster, ofReplica] = [master, replica].map((server) => server.client("alice", passwords["alice"]!));
  await Promise.all([master.answers(ofMaster!), replica.answers(ofReplica!)]);
  await ofReplica!.call("REPLICAOF", master.host, String(master.port));
  await waitFor("the replica is in sync", 20_000, async () => String(await ofMaster!.call("INFO", "replication")).includes("state=online"));
  ofMaster!.disconnect();
  ofReplica!.disconnect();
  proxy = await TestProxy.start({ authorities, passwords, nodes: [master] }, { mode: "standalone" });
});
after(async () => {
  await proxy.stop();
  await Promise.all([master.child.stop(), replica.child.stop("SIGKILL")]);
  rmSync(directory, { recursive: true, force: true });
});

test("WAIT tells whether the replica has what the client has written by the connection that all share", async () => {
  const [client, other] = [await RawConnection.open(proxy), await RawConnection.open(proxy)];
  assert.equal(await client.ask("SET", "key", "one"), "+OK\r\n");
  assert.equal(await client.ask("WAIT", "1", "10000"), ":1\r\n");
  replica.child.signal("SIGSTOP");
  assert.equal(await client.ask("SET", "key", "two"), "+OK\r\n");
  client.send("WAIT", "1", "1500");
  assert.equal(await other.ask("GET", "key"), "$3\r\ntwo\r\n", "nobody else waits");
  assert.equal(client.waiting, 0);
  assert.equal(await client.reply(), ":0\r\n");
  replica.child.signal("SIGCONT");
  assert.equal(await client.ask("WAIT", "1", "10000"), ":1\r\n");
  client.close();
  other.close();
});
