import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connect } from "node:tls";
import { parse, stringify } from "yaml";
import { makeLeaf, makeUserCertificate } from "../support/certificates.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { onEach } from "../support/keys.ts";
import { PlainRedis } from "../support/plain-redis.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor } from "../support/wait-for.ts";

const fixtures = clusterBehindProxy();

/** A configuration whose database is not reached is tried for ten seconds. */
const TRIAL_MS = 20_000;

/** As far as the tests change it. */
interface Configuration {
  limits?: Record<string, number>;
  roles?: unknown[];
  audit: Record<string, unknown>;
  databases: Record<string, unknown>[];
}

const at = (file: string): string => join(fixtures.proxy.directory, file);

async function metric(name: string): Promise<number> {
  const line = (await fixtures.proxy.metrics()).split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.split(" ")[1]);
}

/** Has the proxy read its configuration again, and waits until it has, or has said why it does not take it over. */
async function reload(change: (config: Configuration) => void = () => undefined, limitMs?: number): Promise<{ problem?: string }> {
  const config = parse(readFileSync(at("proxy.yaml"), "utf8")) as Configuration;
  change(config);
  return reloadText(stringify(config), limitMs);
}

async function reloadText(text: string, limitMs = 5_000): Promise<{ problem?: string }> {
  const count = async (): Promise<number> => (await metric("redis_access_config_reloads_total")) + (await metric("redis_access_config_reload_failures_total"));
  const before = await count();
  writeFileSync(at("proxy.yaml"), text, { mode: 0o600 });
  process.kill(fixtures.proxy.child.pid, "SIGHUP");
  await waitFor("the proxy has looked at its configuration", limitMs, async () => (await count()) === before + 1);
  const health = (await (await fetch(`http://127.0.0.1:${fixtures.proxy.adminPort}/healthz`)).json()) as { detail: { configuration: { problem?: string } } };
  return health.detail.configuration;
}

async function servedFingerprint(): Promise<string> {
  const { proxy } = fixtures;
  const socket = connect({ host: "127.0.0.1", port: proxy.port, ...proxy.tls() });
  socket.on("error", () => undefined);
  return waitFor("a handshake", 5_000, () => {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return false;
    socket.destroy();
    return certificate.fingerprint256;
  });
}

async function works(connection: RawConnection): Promise<void> {
  assert.equal(await connection.ask("SET", "still", "there"), "+OK\r\n");
  assert.equal(await connection.ask("GET", "still"), "$5\r\nthere\r\n");
}

describe("SIGHUP", () => {
  test("shows another certificate to clients that come from then on, and leaves those that are there", async () => {
    const connection = await RawConnection.open(fixtures.proxy);
    const before = await servedFingerprint();
    const renewed = await makeLeaf(fixtures.cluster.authorities, "proxy", { commonName: "renewed" });
    writeFileSync(at("server.crt"), renewed.certPem);
    writeFileSync(at("server.key"), renewed.keyPem);
    assert.equal((await reload()).problem, undefined);
    assert.notEqual(await servedFingerprint(), before);
    await works(connection);
    connection.close();
  });

  test("takes roles over: who may not be there any more is sent away at once, all others stay", async () => {
    const certificate = await makeUserCertificate(fixtures.cluster.authorities, ["reader"]);
    const allow = (users: string[]) => (config: Configuration): void => {
      config.roles = [{ name: "access", db_labels: { "*": "*" }, db_users: ["*"] }, { name: "reader", db_labels: { "*": "*" }, db_users: users }];
    };
    await reload(allow(["alice"]));
    const [stays, goes] = await Promise.all([RawConnection.open(fixtures.proxy), RawConnection.open(fixtures.proxy, "alice", certificate)]);
    await works(goes);
    await reload(allow(["bob"]));
    await goes.closed();
    await works(stays);
    const again = await RawConnection.anonymous(fixtures.proxy, certificate);
    assert.match(await again.ask("AUTH", "alice", fixtures.cluster.passwords["alice"]!), /access to db denied/);
    stays.close();
    again.close();
    await waitFor("the audit says why", 5_000, () => fixtures.proxy.audit().some(({ reason }) => reason === "the configuration does not allow it any more"));
  });

  test("opens a database that is new, and lets the clients of one that is gone finish", async () => {
    const [port] = await findFreePorts(1);
    const first = await RawConnection.open(fixtures.proxy);
    await reload(({ databases }) => {
      databases.push({ ...databases[0], name: "second", listen: `127.0.0.1:${port!}` });
    });
    const second = await RawConnection.open(fixtures.proxy, "alice", undefined, port);
    await works(second);
    await reload(({ databases }) => {
      databases.pop();
    });
    await second.closed();
    await assert.rejects(RawConnection.open(fixtures.proxy, "alice", undefined, port));
    await works(first);
    first.close();
  });

  test("leads new clients by other seeds, and leaves those that are there their connections", async () => {
    const before = await RawConnection.open(fixtures.proxy);
    await reload(({ databases }) => {
      const [, second] = fixtures.cluster.nodes;
      databases[0]!["uri"] = `rediss://127.0.0.1:${second!.port}?mode=cluster`;
    });
    const after = await RawConnection.open(fixtures.proxy);
    await works(before);
    await works(after);
    before.close();
    after.close();
  });

  test("leaves those that are there TLS to their nodes where new clients are led to a server without", async () => {
    const { cluster, proxy } = fixtures;
    const user = (name: string): string[] => ["--user", name, "on", "nopass", "~*", "&*", "+@all"];
    const plain = await PlainRedis.start(...user("alice"), ...user("proxy"));
    const text = readFileSync(at("proxy.yaml"), "utf8");
    const before = await RawConnection.open(proxy);
    try {
      await works(before);
      const { problem } = await reload(({ databases: [database] }) => {
        database!["uri"] = `redis://127.0.0.1:${plain.port}`;
        delete database!["nodes"];
        delete database!["tls"];
      });
      assert.equal(problem, undefined);
      await onEach(cluster, cluster.nodes, "CLIENT", "KILL", "USER", "alice", "SKIPME", "yes");
      // One that changes nothing: it is sent again where the proxy had not seen the end of the connection yet.
      assert.equal(await before.ask("GET", "still"), "$5\r\nthere\r\n");
      const after = await RawConnection.open(proxy);
      assert.equal(await after.ask("DBSIZE"), ":0\r\n");
      after.close();
    } finally {
      before.close();
      await plain.stop();
      assert.equal((await reloadText(text)).problem, undefined);
    }
  });

  test("leaves the last good configuration in force where the new one cannot be used, and says why", async () => {
    const good = readFileSync(at("proxy.yaml"), "utf8");
    const connection = await RawConnection.open(fixtures.proxy);
    const taken = (await findFreePorts(1))[0]!;
    const faults: [RegExp, () => Promise<{ problem?: string }>][] = [
      [/unknown|limitz/, () => reloadText(good.replace("databases:", "limitz: {}\ndatabases:"))],
      [/nobody\.crt: cannot be read \(ENOENT\)/, () => reloadText(good.replace("server.crt", "nobody.crt"))],
      [/audit\.file has changed, which only a restart of the proxy takes over/, () => reload(({ audit }) => (audit["file"] = "other.log"))],
      [/cannot listen on 127\.0\.0\.1:\d+: the port is in use/, () => reload(({ databases }) => {
        databases.push({ ...databases[0], name: "third", listen: `127.0.0.1:${taken}` });
        databases.push({ ...databases[0], name: "second", listen: `127.0.0.1:${fixtures.cluster.nodes[0]!.port}` });
      })],
      [/server\.crt and .*alice\.key: cannot be used as certificate and key/, () => {
        writeFileSync(at("alice.key"), fixtures.proxy.certificate.keyPem, { mode: 0o600 });
        return reloadText(good.replace("server.key", "alice.key"));
      }],
    ];
    for (const [expected, broken] of faults) {
      assert.match((await broken()).problem ?? "", expected);
      await works(connection);
      const another = await RawConnection.open(fixtures.proxy);
      await works(another);
      another.close();
      writeFileSync(at("proxy.yaml"), good);
    }
    await assert.rejects(RawConnection.open(fixtures.proxy, "alice", undefined, taken), "the door that could be opened was closed again");
    assert.match(fixtures.proxy.child.log, /configuration not taken over, the one before stays in force/);
    assert.equal((await reload()).problem, undefined);
    rmSync(at("alice.key"));
    connection.close();
  });

  test("takes nothing over that does not lead to a database which the one in force leads to, and says what is in the way", async () => {
    const ca = readFileSync(at("redis-ca.crt"));
    const connection = await RawConnection.open(fixtures.proxy);
    writeFileSync(at("redis-ca.crt"), fixtures.proxy.certificate.certPem);
    const { problem } = await reload(undefined, TRIAL_MS);
    assert.match(problem ?? "", /database example-redis is not reached within 10000 ms, and what runs now reaches it: .*(127\.0\.0\.1:\d+: .*certificate.*){2}/);
    await works(connection);
    const another = await RawConnection.open(fixtures.proxy);
    await works(another);
    writeFileSync(at("redis-ca.crt"), Buffer.concat([ca, Buffer.from(fixtures.proxy.certificate.certPem)]));
    assert.equal((await reload()).problem, undefined);
    await works(another);
    another.close();
    connection.close();
  });

  test("disturbs nobody under load, twenty times in a row", async () => {
    const client = fixtures.proxy.client();
    let stop = false;
    let done = 0;
    const load = Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        for (let n = 0; !stop; n++, done++) {
          assert.equal(await client.set(`load:${i}`, n), "OK");
          assert.equal(await client.get(`load:${i}`), String(n));
        }
      }),
    );
    const newcomers = Array.from({ length: 20 }, (_, i) => i);
    for (const i of newcomers) {
      await reload((config) => {
        config.limits = { ...config.limits, max_pipeline_depth: 1_000 + i, connect_timeout_ms: 4_000 + i };
      });
      const newcomer = await RawConnection.open(fixtures.proxy);
      await works(newcomer);
      newcomer.close();
    }
    stop = true;
    await load;
    client.disconnect();
    assert.ok(done > 100, `${done} rounds`);
    await waitFor("what earlier configurations had opened is closed", 5_000, async () => {
      const [, connections] = /redis_access_upstream_connections\{[^}]*\} (\d+)/.exec(await fixtures.proxy.metrics())!;
      return Number(connections) <= 12;
    });
  });
});
