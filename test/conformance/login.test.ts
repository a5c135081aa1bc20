import assert from "node:assert/strict";
import { test } from "node:test";
import { makeUserCertificate } from "../support/certificates.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { waitFor } from "../support/wait-for.ts";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { onEach } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";

const denied = "-ERR Teleport: access to db denied. User does not have permissions. Confirm database user and name.\r\n";
const noAuth = "-NOAUTH Authentication required.\r\n";
const wrongPassword = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

const roles = [
  { name: "access", db_labels: { "*": "*" }, db_users: ["*"] },
  { name: "alice-only", db_labels: { env: "test" }, db_users: ["alice"] },
  { name: "a-star", db_labels: { env: ["staging", "te*"] }, db_users: ["a*"] },
  { name: "elsewhere", db_labels: { env: "production" }, db_users: ["*"] },
  { name: "no-labels", db_labels: {}, db_users: ["*"] },
];
const fixtures = clusterBehindProxy({ ...threeMasters, users: ["alice", "bob", "anna"] }, { roles });
const password = (user: string): string => fixtures.proxy.target.passwords[user]!;

async function withClient(certificate: TestCertificate | undefined, use: (client: RawConnection) => Promise<void>): Promise<void> {
  const client = await RawConnection.anonymous(fixtures.proxy, certificate);
  try {
    await use(client);
  } finally {
    client.close();
  }
}

/** A certificate with these roles, and the Redis user its sessions are for. */
const certificateOf = (roleNames: readonly string[], databaseUser?: string): Promise<TestCertificate> =>
  makeUserCertificate(fixtures.proxy.target.authorities, roleNames, databaseUser);

test("before the login every command is answered NOAUTH, known or not, and the connection stays open", async () => {
  await withClient(undefined, async (client) => {
    for (const command of [["GET", "k"], ["SET", "k", "v"], ["PING"], ["NONSENSE"], ["SUBSCRIBE", "c"], ["DBSIZE"]]) {
      assert.equal(await client.ask(...command), noAuth, command.join(" "));
    }
    assert.equal(await client.ask("AUTH", "alice", password("alice")), "+OK\r\n");
    assert.equal(await client.ask("PING"), "+PONG\r\n");
  });
});

test("requests sent together with the login are answered by it", async () => {
  await withClient(undefined, async (client) => {
    client.write(`GET early\r\nAUTH alice ${password("alice")}\r\nSET late 1\r\nGET late\r\n`);
    assert.deepEqual(await client.replies(4), [noAuth, "+OK\r\n", "+OK\r\n", "$1\r\n1\r\n"]);
  });
});

test("a wrong password is refused in Redis's words, and the right one is taken after it", async () => {
  await withClient(undefined, async (client) => {
    assert.equal(await client.ask("AUTH", "alice", "wrong"), wrongPassword);
    assert.equal(await client.ask("AUTH", "alice", ""), wrongPassword);
    assert.equal(await client.ask("AUTH", "nobody", "x"), wrongPassword);
    assert.equal(await client.ask("GET", "k"), noAuth);
    assert.equal(await client.ask("AUTH", "alice", password("alice")), "+OK\r\n");
    assert.equal(await client.ask("AUTH", "alice", "wrong"), wrongPassword);
    assert.equal(await client.ask("ECHO", "still in"), "$8\r\nstill in\r\n");
  });
});

test("AUTH without arguments, and with too many, is refused in the guide's words", async () => {
  await withClient(undefined, async (client) => {
    assert.equal(await client.ask("AUTH"), "-ERR Teleport: wrong number of arguments for 'auth' command\r\n");
    assert.equal(await client.ask("auth", "alice", "x", "y"), "-ERR Teleport: syntax error\r\n");
  });
});

test("AUTH with a password only is for the user default, which Redis has switched off", async () => {
  await withClient(undefined, async (client) => {
    assert.equal(await client.ask("AUTH", password("alice")), wrongPassword);
  });
});

test("the first successful AUTH names the session's user; any other is refused from then on", async () => {
  await withClient(undefined, async (client) => {
    assert.equal(await client.ask("AUTH", "alice", password("alice")), "+OK\r\n");
    const other = "-ERR Teleport: failed to authenticate as bob user. Please provide a correct db username when connecting to Redis\r\n";
    assert.equal(await client.ask("AUTH", "bob", password("bob")), other);
    const byDefault = "-ERR Teleport: failed to authenticate as the default user. Please provide the db username when connecting to Redis\r\n";
    assert.equal(await client.ask("AUTH", password("alice")), byDefault);
    assert.equal(await client.ask("PING"), "+PONG\r\n");
    assert.equal(await client.ask("AUTH", "alice", password("alice")), "+OK\r\n");
  });
});

test("a certificate that names a Redis user is for that user only", async () => {
  await withClient(await certificateOf(["access"], "bob"), async (client) => {
    assert.equal(await client.ask("GET", "k"), noAuth);
    const other = "-ERR Teleport: failed to authenticate as alice user. Please provide a correct db username when connecting to Redis\r\n";
    assert.equal(await client.ask("AUTH", "alice", password("alice")), other);
    assert.equal(await client.ask("AUTH", "bob", password("bob")), "+OK\r\n");
    assert.equal(await client.ask("RESET"), "+RESET\r\n");
    assert.equal(await client.ask("AUTH", "alice", password("alice")), other);
  });
});

const cases: readonly (readonly [roles: readonly string[], user: string, allowed: boolean])[] = [
  [["access"], "alice", true],
  [["access"], "bob", true],
  [["alice-only"], "alice", true],
  [["alice-only"], "bob", false],
  [["a-star"], "alice", true],
  [["a-star"], "anna", true],
  [["a-star"], "bob", false],
  [["elsewhere"], "alice", false],
  [["no-labels"], "alice", false],
  [["elsewhere", "alice-only"], "alice", true],
  [["elsewhere", "alice-only"], "bob", false],
  [["not-a-role"], "alice", false],
  [[], "alice", false],
];
for (const [roleNames, user, allowed] of cases) {
  test(`the roles [${roleNames.join()}] ${allowed ? "allow" : "do not allow"} the Redis user ${user}`, async () => {
    await withClient(await certificateOf(roleNames), async (client) => {
      assert.equal(await client.ask("AUTH", user, password(user)), allowed ? "+OK\r\n" : denied);
      if (allowed) assert.equal(await client.ask("PING"), "+PONG\r\n");
      else await client.closed();
    });
  });
}

test("a certificate that names a Redis user whom no role allows is refused at its first command, and the connection closed", async () => {
  for (const command of [["PING"], ["AUTH", "bob", password("bob")]]) {
    await withClient(await certificateOf(["alice-only"], "bob"), async (client) => {
      assert.equal(await client.ask(...command), denied);
      await client.closed();
    });
  }
});

test("a refused login does not reach Redis", async () => {
  const [node] = fixtures.cluster.nodes;
  const direct = fixtures.cluster.direct(node);
  try {
    const logins = async (): Promise<string> => /cmdstat_auth:calls=(\d+)/.exec(await direct.info("commandstats"))![1]!;
    const before = await logins();
    await withClient(await certificateOf(["alice-only"]), async (client) => {
      assert.equal(await client.ask("AUTH", "bob", password("bob")), denied);
    });
    assert.equal(await logins(), before);
  } finally {
    direct.disconnect();
  }
});

test("RESET ends the login; the next one may be another user's, and commands are that user's", async () => {
  await withClient(undefined, async (client) => {
    assert.equal(await client.ask("AUTH", "alice", password("alice")), "+OK\r\n");
    assert.equal(await client.ask("RESET"), "+RESET\r\n");
    assert.equal(await client.ask("GET", "k"), noAuth);
    assert.equal(await client.ask("AUTH", "bob", password("bob")), "+OK\r\n");
    assert.equal(await client.ask("SET", "by-bob", "1"), "+OK\r\n");
    const [event] = await waitFor("the command is in the audit", 5_000, () => {
      const found = fixtures.proxy.audit().filter(({ event, keys }) => event === "command" && String(keys) === "by-bob");
      return found.length > 0 && found;
    });
    assert.equal(event!["redisUser"], "bob");
  });
});

test("QUIT answers OK and closes the connection, logged in or not; what comes behind it is not executed", async () => {
  await withClient(undefined, async (client) => {
    assert.equal(await client.ask("QUIT"), "+OK\r\n");
    await client.closed();
  });
  const client = await RawConnection.open(fixtures.proxy);
  client.write("SET kept 1\r\nQUIT\r\nSET kept 2\r\n");
  assert.deepEqual(await client.replies(2), ["+OK\r\n", "+OK\r\n"]);
  await client.closed();
  assert.equal(client.waiting, 0);
  await withClient(undefined, async (other) => {
    await other.ask("AUTH", "alice", password("alice"));
    assert.equal(await other.ask("GET", "kept"), "$1\r\n1\r\n");
  });
});

test("a user that is deleted loses its sessions, and comes in again when Redis lets it", async () => {
  const client = await RawConnection.open(fixtures.proxy, "anna");
  assert.equal(await client.ask("SET", "anna's", "1"), "+OK\r\n");
  await onEach(fixtures.cluster, fixtures.cluster.nodes, "ACL", "DELUSER", "anna");
  await client.closed(10_000);
  await withClient(undefined, async (next) => {
    assert.equal(await next.ask("AUTH", "anna", password("anna")), wrongPassword);
    await onEach(fixtures.cluster, fixtures.cluster.nodes, "ACL", "SETUSER", "anna", "on", ">another", "allcommands", "allkeys");
    assert.equal(await next.ask("AUTH", "anna", "another"), "+OK\r\n");
    assert.equal(await next.ask("GET", "anna's"), "$1\r\n1\r\n");
  });
});
