/** A Redis user that Redis does not let in any more loses its sessions, those among them that do nothing. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, test } from "node:test";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { keyOnEachMaster, onEach } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor } from "../support/wait-for.ts";

/** Far more than it takes, and far less than a client or a node needs to close a connection for another reason. */
const promptMs = 3_000;

for (const workers of [1, 2]) {
  describe(`with ${workers} process(es) for clients`, () => {
    const fixtures = clusterBehindProxy(threeMasters, { config: { workers } });
    const password = randomBytes(32).toString("hex");
    const tell = (...command: string[]): Promise<unknown[]> => onEach(fixtures.cluster, fixtures.cluster.nodes, ...(command as [string, ...string[]]));
    let alice: RawConnection;

    async function open(secret = password): Promise<RawConnection> {
      const connection = await RawConnection.anonymous(fixtures.proxy);
      assert.equal(await connection.ask("AUTH", "carol", secret), "+OK\r\n");
      return connection;
    }

    beforeEach(async () => {
      await tell("ACL", "SETUSER", "carol", "reset", "on", `>${password}`, "~*", "&*", "+@all");
      alice = await RawConnection.open(fixtures.proxy);
    });
    // Whatever becomes of another user, alice stays.
    afterEach(async () => {
      assert.equal(await alice.ask("PING"), "+PONG\r\n");
      alice.close();
    });

    test("deleted at all nodes: sessions that work, that listen, that wait, and that have never asked for anything", async () => {
      const [[, key], [, other]] = [...(await keyOnEachMaster(fixtures.cluster, "revoked:"))] as [[number, string], [number, string]];
      // More than one for each process.
      const sessions = await Promise.all(Array.from({ length: 8 }, () => open()));
      const [working, listening, waiting] = sessions as [RawConnection, RawConnection, RawConnection];
      assert.equal(await working.ask("SET", key, "1"), "+OK\r\n");
      await listening.ask("SUBSCRIBE", "news");
      waiting.send("BLPOP", `{${other}}:list`, "0");
      await waitFor("it waits in Redis", 5_000, async () => (await tell("INFO", "clients")).some((text) => /blocked_clients:1/.test(String(text))));
      await tell("ACL", "DELUSER", "carol");
      await Promise.all(sessions.map((session) => session.closed(promptMs)));
      await waitFor("the audit says why", 5_000, () => fixtures.proxy.audit().filter(({ reason }) => reason === "Redis does not let its user in any more").length >= sessions.length - 1);
    });

    test("deleted at the node that a session's connection leads to: that one is the first to know", async () => {
      const [[port, key]] = [...(await keyOnEachMaster(fixtures.cluster, "revoked:"))] as [[number, string]];
      const sessions = await Promise.all([open(), open()]);
      for (const session of sessions) assert.equal(await session.ask("SET", key, "1"), "+OK\r\n");
      await onEach(fixtures.cluster, fixtures.cluster.nodes.filter((node) => node.port === port), "ACL", "DELUSER", "carol");
      await Promise.all(sessions.map((session) => session.closed(promptMs)));
    });

    test("given another password: sessions of the former one go, those of the new one stay", async () => {
      const next = randomBytes(32).toString("hex");
      await tell("ACL", "SETUSER", "carol", `>${next}`);
      const [former, idle, current] = await Promise.all([open(), open(), open(next)]);
      for (const session of [former, current]) assert.equal(await session.ask("SET", "revoked", "1"), "+OK\r\n");
      await tell("ACL", "SETUSER", "carol", `<${password}`);
      await Promise.all([former.closed(promptMs), idle.closed(promptMs)]);
      assert.equal(await current.ask("GET", "revoked"), "$1\r\n1\r\n");
      current.close();
    });

    test("switched off", async () => {
      const session = await open();
      await tell("ACL", "SETUSER", "carol", "off");
      await session.closed(promptMs);
    });

    test("whose rights alone have changed: its sessions stay", async () => {
      const session = await open();
      await tell("ACL", "SETUSER", "carol", "reset", "on", `>${password}`, "~*", "&*", "+@read", "+ping");
      await new Promise((resolve) => setTimeout(resolve, promptMs));
      assert.match(await session.ask("SET", "revoked", "1"), /^-NOPERM /);
      assert.equal(await session.ask("PING"), "+PONG\r\n");
      session.close();
    });
  });
}
