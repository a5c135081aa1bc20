import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TestProxy } from "../support/access-proxy.ts";
import { makeUserCertificate } from "../support/certificates.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { TestCluster } from "../support/redis-cluster.ts";
import { startStandalone } from "../support/standalone-server.ts";
import type { StandaloneServer } from "../support/standalone-server.ts";
import { waitFor } from "../support/wait-for.ts";
import { threeMasters } from "../support/cluster-behind-proxy.ts";

let cluster: TestCluster;
let server: StandaloneServer;
let proxy: TestProxy;
/** Ports of the databases behind the first: a standalone server, and the cluster once more with an authority that has not signed its nodes' certificates. */
let standalone: number;
let untrusted: number;

const denied = "-ERR Teleport: access to db denied. User does not have permissions. Confirm database user and name.\r\n";
const roles = [
  { name: "access", db_labels: { "*": "*" }, db_users: ["*"] },
  { name: "sessions-only", db_labels: { app: "sessions" }, db_users: ["*"] },
];

before(async () => {
  cluster = await TestCluster.start(threeMasters);
  server = await startStandalone(cluster);
  [standalone, untrusted] = (await findFreePorts(2)) as [number, number];
  const ownAuthority = { ca_cert_file: "redis-ca.crt" };
  const serviceUser = { name: "proxy", password_file: "proxy.password" };
  proxy = await TestProxy.start(cluster, {
    roles,
    furtherDatabases: [
      { name: "sessions", protocol: "redis", uri: `rediss://127.0.0.1:${server.port}`, static_labels: { app: "sessions" }, tls: ownAuthority, listen: `127.0.0.1:${standalone}`, service_user: serviceUser },
      { name: "untrusted", protocol: "redis", uri: `rediss://127.0.0.1:${cluster.nodes[0]!.port}?mode=cluster`, listen: `127.0.0.1:${untrusted}` },
    ],
  });
});
after(async () => {
  await proxy.stop();
  await server.stop();
  await cluster.stop();
});

const openStandalone = (): Promise<RawConnection> => RawConnection.open(proxy, "alice", undefined, standalone);

test("each database has its own listener, its own keys, and its name in the audit", async () => {
  const [first, second] = await Promise.all([RawConnection.open(proxy), openStandalone()]);
  try {
    assert.equal(await first.ask("SET", "where", "in the cluster"), "+OK\r\n");
    assert.equal(await second.ask("GET", "where"), "$-1\r\n");
    assert.equal(await second.ask("SET", "where", "standalone"), "+OK\r\n");
    assert.equal(await first.ask("GET", "where"), "$14\r\nin the cluster\r\n");
    const databases = await waitFor("both writes are in the audit", 5_000, () => {
      const events = proxy.audit().filter(({ event, command }) => event === "command" && command === "set");
      return events.length === 2 && events.map(({ database }) => database);
    });
    assert.deepEqual(databases, ["example-redis", "sessions"]);
  } finally {
    first.close();
    second.close();
  }
});

test("a role that allows one database by its labels does not allow the other", async () => {
  const certificate = await makeUserCertificate(cluster.authorities, ["sessions-only"]);
  const second = await RawConnection.open(proxy, "alice", certificate, standalone);
  assert.equal(await second.ask("PING"), "+PONG\r\n");
  second.close();
  const first = await RawConnection.anonymous(proxy, certificate);
  assert.equal(await first.ask("AUTH", "alice", cluster.passwords["alice"]!), denied);
  await first.closed();
});

test("a database whose nodes show a certificate of another authority gets no password, and the others serve on", async () => {
  const client = await RawConnection.anonymous(proxy, undefined, untrusted);
  try {
    assert.match(await client.ask("AUTH", "alice", cluster.passwords["alice"]!), /^-ERR Teleport: no node of database untrusted can be reached: .*(self-signed|unable to verify|unable to get)/);
  } finally {
    client.close();
  }
  const other = await openStandalone();
  assert.equal(await other.ask("PING"), "+PONG\r\n");
  other.close();
});

test("a standalone server has what a cluster behind one address cannot: transactions, other databases, SCAN, INFO, patterns", async () => {
  const [client, other] = await Promise.all([openStandalone(), openStandalone()]);
  try {
    client.write("SET {a}n 1\r\nMULTI\r\nINCR {a}n\r\nMGET {a}n b\r\nEXEC\r\n");
    assert.deepEqual(await client.replies(5), ["+OK\r\n", "+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "*2\r\n:2\r\n*2\r\n$1\r\n2\r\n$-1\r\n"]);
    client.write("WATCH w\r\nMULTI\r\n");
    assert.deepEqual(await client.replies(2), ["+OK\r\n", "+OK\r\n"]);
    assert.equal(await other.ask("SET", "w", "changed"), "+OK\r\n");
    client.write("SET w mine\r\nEXEC\r\n");
    assert.deepEqual(await client.replies(2), ["+QUEUED\r\n", "*-1\r\n"]);
    client.write("SELECT 3\r\nSET only-in-3 1\r\nDBSIZE\r\n");
    assert.deepEqual(await client.replies(3), ["+OK\r\n", "+OK\r\n", ":1\r\n"]);
    assert.equal(await other.ask("EXISTS", "only-in-3"), ":0\r\n");
    assert.equal(await client.ask("SCAN", "0"), "*2\r\n$1\r\n0\r\n*1\r\n$9\r\nonly-in-3\r\n");
    assert.match(await other.ask("INFO", "server"), /redis_mode:standalone/);
    assert.equal(await other.ask("MSET", "x", "1", "y", "2"), "+OK\r\n");
    assert.equal(await other.ask("PSUBSCRIBE", "ne*"), "*3\r\n$10\r\npsubscribe\r\n$3\r\nne*\r\n:1\r\n");
    assert.equal(await client.ask("PUBLISH", "news", "hi"), ":1\r\n");
    assert.equal(await other.reply(), "*4\r\n$8\r\npmessage\r\n$3\r\nne*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
  } finally {
    client.close();
    other.close();
  }
});

for (const kind of ["", "P", "S"]) {
  test(`what a client sends behind ${kind}UNSUBSCRIBE goes to the database that it has selected, without waiting for the answer`, async () => {
    const client = await openStandalone();
    try {
      const channel = `${kind.toLowerCase()}channel`;
      client.write(`SELECT 5\r\n${kind}SUBSCRIBE ${channel}\r\n${kind}UNSUBSCRIBE ${channel}\r\nSET selected 5\r\nSELECT 0\r\nGET selected\r\nSELECT 5\r\nGETDEL selected\r\n`);
      const [, , , ...replies] = await client.replies(8);
      assert.deepEqual(replies, ["+OK\r\n", "+OK\r\n", "$-1\r\n", "+OK\r\n", "$1\r\n5\r\n"]);
    } finally {
      client.close();
    }
  });
}

test("of a standalone server only what is no plain question and answer is refused, and the client is served on", async () => {
  const client = await openStandalone();
  try {
    for (const command of ["CLIENT REPLY OFF", "client tracking on", "HELLO 2", "MONITOR", "PSYNC ? -1", "REPLCONF capa eof", "SYNC"]) {
      assert.equal(await client.ask(...command.split(" ")), "-ERR Teleport: command not supported\r\n", command);
    }
    assert.match(await client.ask("CLIENT", "ID"), /^:\d+\r\n$/);
    assert.match(await client.ask("ROLE"), /^\*3\r\n\$6\r\nmaster\r\n/);
  } finally {
    client.close();
  }
});

test("where a standalone server ends a connection, so ends the one of the client that had it for itself, before it asks for anything more", async () => {
  const [client, other] = await Promise.all([openStandalone(), openStandalone()]);
  try {
    const id = /^:(\d+)\r\n$/.exec(await client.ask("CLIENT", "ID"))![1]!;
    assert.equal(await other.ask("CLIENT", "KILL", "ID", id), ":1\r\n");
    await client.closed();
    assert.equal(client.waiting, 0);
    assert.equal(await other.ask("PING"), "+PONG\r\n");
    assert.equal(await other.ask("RESET"), "+RESET\r\n");
    assert.match(await other.ask("PING"), /^-NOAUTH /);
  } finally {
    client.close();
    other.close();
  }
});

test("a client that waits in a standalone server's BLPOP holds nobody up", async () => {
  const [waiting, other] = await Promise.all([openStandalone(), openStandalone()]);
  try {
    waiting.send("BLPOP", "list", "10");
    for (let i = 1; i <= 100; i++) assert.equal(await other.ask("INCR", "meanwhile"), `:${i}\r\n`);
    assert.equal(await other.ask("RPUSH", "list", "x"), ":1\r\n");
    assert.equal(await waiting.reply(), "*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
  } finally {
    waiting.close();
    other.close();
  }
});
