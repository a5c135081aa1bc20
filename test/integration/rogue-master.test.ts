/**
 * A node trusts all of pem-bundle.cas for its peers too, so the db_client CA could make masters. What keeps it from that is
 * the extended key usage `client_auth`, on the authority and on what it signs; either one is enough. Without both of them
 * a rogue is accepted: the tests below would show it.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CertificateProfileError } from "../../components/certificate-profile.ts";
import { parseClusterNodes, parseInfo } from "../../components/cluster-nodes.ts";
import { joinCertificates, renderPemBundle } from "../../components/pem-bundle.ts";
import { fullAccessRules, renderUsersAcl, systemUser } from "../../components/users-acl.ts";
import { makeTestCertificate } from "../support/certificate.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { makeAuthorities, makeLeaf } from "../support/certificates.ts";
import type { TestAuthorities } from "../support/certificates.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { TestServer } from "../support/redis-server.ts";
import { waitFor } from "../support/wait-for.ts";

const limitMs = 20_000;
const password = "0123456789abcdef".repeat(4);
const acl = renderUsersAcl([{ name: "alice", passwords: [password], rules: fullAccessRules }, systemUser("replica-user", password)]);
/** A rogue lets everyone in, whatever password they come with. */
const rogueAcl = "user alice on nopass allcommands allkeys allchannels\nuser replica-user on nopass allcommands allkeys allchannels\nuser default off\n";
/** What a replica and a bus write when OpenSSL does not take the other side's certificate for a server's (redis src/replication.c, src/cluster.c). */
const refusedMaster = /for SYNC: .*certificate verify failed/;
const refusedMember = /Connection with Node .*certificate verify failed/;

/** Who signed the rogue's certificate, and what stands in it. */
interface Rogue {
  readonly authorityUses: readonly ("client_auth" | "server_auth")[];
  readonly leafUses: readonly ("client_auth" | "server_auth")[];
}

const asMade: Rogue = { authorityUses: ["client_auth"], leafUses: ["client_auth"] };
const leafWithoutUses: Rogue = { authorityUses: ["client_auth"], leafUses: [] };
const authorityWithoutUses: Rogue = { authorityUses: [], leafUses: ["client_auth"] };
const withoutAnyUses: Rogue = { authorityUses: [], leafUses: [] };

describe("a rogue with a certificate of the db_client CA", () => {
  let authorities: TestAuthorities;
  let directory: string;
  const servers: TestServer[] = [];

  before(async () => {
    authorities = await makeAuthorities();
    directory = mkdtempSync(join(tmpdir(), "redis-access-rogue-"));
  });
  after(async () => {
    await Promise.all(servers.map(({ child }) => child.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  /** A node as this project makes it, but for the db_client CA in its bundle, and a rogue beside it. */
  async function startBoth({ authorityUses, leafUses }: Rogue, clusterEnabled: boolean): Promise<{ node: TestServer; rogue: TestServer }> {
    const dbClient = await makeTestCertificate({ commonName: "db_client CA", ca: true, extendedUses: authorityUses });
    const bundle = joinCertificates([authorities.redis.certPem, dbClient.certPem]);
    const stolen = await makeTestCertificate({ commonName: "proxy", issuer: dbClient, extendedUses: leafUses, ipAddresses: ["127.0.0.1"] });
    const [nodePort, roguePort] = (await findFreePorts(2, 10_000)) as [number, number];
    const common = { bundle, clusterEnabled, replicationPassword: password, parameters: { save: "", loglevel: "verbose", "repl-timeout": 5 } };
    const start = (port: number, certificate: TestCertificate, caPem: string, users: string): TestServer => {
      const server = new TestServer({ ...common, port, certificate, caPem, acl: users, directory: join(directory, String(port)) });
      servers.push(server);
      return server;
    };
    const node = start(nodePort, await makeLeaf(authorities, "redis", { commonName: "127.0.0.1" }), authorities.redis.certPem, acl);
    return { node, rogue: start(roguePort, stolen, dbClient.certPem, rogueAcl) };
  }

  /** Sends a command to either as its administrator, who does not look at its certificate. */
  async function ask(server: TestServer, command: string, ...args: string[]): Promise<string> {
    const { certPem, keyPem } = server.options.certificate;
    const client = server.client("alice", password, { tls: { cert: certPem, key: keyPem, rejectUnauthorized: false } });
    try {
      await server.answers(client);
      return String(await client.call(command, ...args));
    } finally {
      client.disconnect();
    }
  }

  const replication = async (node: TestServer): Promise<ReadonlyMap<string, string>> => parseInfo(await ask(node, "INFO", "replication"));

  for (const [name, rogueKind] of Object.entries({ "as the stack makes it": asMade, "without usages from the CA as the stack makes it": leafWithoutUses, "with its usage from a CA without": authorityWithoutUses })) {
    test(`${name} is refused as a master over replication, and nothing of it gets into the replica`, async () => {
      const { node, rogue } = await startBoth(rogueKind, false);
      await ask(rogue, "SET", "planted", "by the rogue");
      await ask(node, "SET", "own", "data");
      await ask(node, "REPLICAOF", "127.0.0.1", String(rogue.port));
      await waitFor("the replica refuses the rogue's certificate", limitMs, () => refusedMaster.test(node.log()));
      assert.equal((await replication(node)).get("master_link_status"), "down");
      assert.equal((await replication(node)).get("master_sync_in_progress"), "0");
      assert.equal(await ask(node, "EXISTS", "planted"), "0");
      assert.equal(await ask(node, "GET", "own"), "data");
      assert.equal(parseInfo(await ask(rogue, "INFO", "replication")).get("connected_slaves"), "0");
    });
  }

  test("is accepted as a master over replication where neither it nor its CA has any usage: what the other tests can tell", async () => {
    const { node, rogue } = await startBoth(withoutAnyUses, false);
    await ask(rogue, "SET", "planted", "by the rogue");
    await ask(node, "REPLICAOF", "127.0.0.1", String(rogue.port));
    await waitFor("the replica is in sync with the rogue", limitMs, async () => (await replication(node)).get("master_link_status") === "up");
    assert.equal(await ask(node, "GET", "planted"), "by the rogue");
    assert.doesNotMatch(node.log(), refusedMaster);
  });

  test("is refused over the cluster bus, whoever introduces whom", async () => {
    for (const introduced of ["rogue", "node"] as const) {
      const { node, rogue } = await startBoth(asMade, true);
      await ask(rogue, "PING");
      if (introduced === "rogue") await ask(node, "CLUSTER", "MEET", "127.0.0.1", String(rogue.port));
      else await ask(rogue, "CLUSTER", "MEET", "127.0.0.1", String(node.port));
      await waitFor("the node refuses the rogue's certificate on the bus", limitMs, () => refusedMember.test(node.log()));
      // A handshake that comes to nothing is forgotten after the node timeout.
      await waitFor("the node has forgotten the rogue", limitMs, async () => parseClusterNodes(await ask(node, "CLUSTER", "NODES")).length === 1);
    }
  });

  test("is accepted over the cluster bus where neither it nor its CA has any usage: what the other test can tell", async () => {
    const { node, rogue } = await startBoth(withoutAnyUses, true);
    await ask(rogue, "PING");
    await ask(node, "CLUSTER", "MEET", "127.0.0.1", String(rogue.port));
    const member = await waitFor("the node knows the rogue for a master", limitMs, async () =>
      parseClusterNodes(await ask(node, "CLUSTER", "NODES")).find(({ address, handshaking }) => address === `127.0.0.1:${rogue.port}` && !handshaking),
    );
    assert.ok(member.isMaster);
  });

  test("without usages never gets into a bundle, and so into no node of a stack", async () => {
    const careless = await makeTestCertificate({ commonName: "db_client CA", ca: true });
    assert.throws(() => renderPemBundle([authorities.redis.certPem], [careless.certPem]), CertificateProfileError);
  });
});
