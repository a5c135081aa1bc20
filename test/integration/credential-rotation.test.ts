/** Certificates, passwords and authorities are replaced while clients read and write through the proxy. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { shakeHands } from "../../toolchain/commands/lib/node-probe.ts";
import type { KeyPair } from "../../toolchain/commands/lib/node-probe.ts";
import { Environment } from "../support/environment.ts";
import type { RecordedProcess } from "../support/environment.ts";
import { askNode } from "../support/environment-clients.ts";
import { underLoad as runUnderLoad } from "./support/environment-load.ts";

describe("under a steady load, without one failed command, one lost write or one restart", () => {
  let environment: Environment;
  let started: ReadonlyMap<string, RecordedProcess>;

  before(async () => {
    environment = await Environment.start({ protectAuthorities: true });
    started = environment.processes();
  });
  after(() => environment.stop());

  async function underLoad(t: TestContext, name: string, work: () => Promise<void>): Promise<void> {
    const passwords = async (): Promise<Readonly<Record<string, string>>> => (await environment.outputs()).passwords;
    await runUnderLoad(environment, { name, clients: 6, pauseMs: 8, passwords, report: (line) => { t.diagnostic(line); } }, work);
    assert.deepEqual(environment.processes(), started, "a process was started anew");
  }

  async function rotate(...words: string[]): Promise<string> {
    const { status, stdout, stderr } = await environment.command("rotate", ...words);
    assert.equal(status, 0, (stdout + stderr).slice(-3000));
    return stdout;
  }

  function identityOf(directory: string, name: string): KeyPair {
    const read = (file: string): string => readFileSync(path.join(environment.directory, directory, file), "utf8");
    return { cert: read(`${name}.crt`), key: read(`${name}.key`) };
  }

  const nodeIdentity = (port: number): KeyPair => identityOf(`nodes/${port}`, "server");
  const node = (port: number): { host: string; port: number } => ({ host: "127.0.0.1", port });

  /** What every node says to a client's certificate: whether it accepts it, and which one it serves itself. */
  async function shakeAll(client: KeyPair): Promise<{ served: X509Certificate; accepted: boolean }[]> {
    return Promise.all(environment.nodePorts.map((port) => shakeHands(node(port), client)));
  }

  /** Moves the beginnings of certificates' terms back, as if so many days had gone by. */
  async function age(days: number, ...terms: string[]): Promise<void> {
    const file = path.join(environment.project, "state.json");
    await environment.succeed("stack", "export", "--file", file);
    const state = JSON.parse(readFileSync(file, "utf8")) as { deployment: { resources: { urn: string; outputs: { begun: string } }[] } };
    const aged = state.deployment.resources.filter(({ urn }) => terms.includes(urn.split("::").at(-1)!));
    assert.equal(aged.length, terms.length);
    for (const { outputs } of aged) outputs.begun = new Date(Date.parse(outputs.begun) - days * 86_400_000).toISOString();
    writeFileSync(file, JSON.stringify(state));
    await environment.succeed("stack", "import", "--file", file);
  }

  test("all nodes get new certificates by their number, the proxy and the first client because two thirds of theirs are over", async (t) => {
    const proxy = { host: "127.0.0.1", port: environment.proxyPort };
    const client = identityOf("client", "client");
    const [nodesBefore, proxyBefore] = [await shakeAll(client), await shakeHands(proxy, client)];
    // Of two years.
    await age(500, "dev-proxy-tls-term", "dev-client-term");
    await age(480, `dev-redis-127.0.0.1-${environment.nodePorts[0]!}-tls-leaf-term`);
    await underLoad(t, "node certificates", async () => {
      assert.match(await rotate("node-certificates"), /Proven by handshakes: all 6 nodes show a new certificate\.\n.*: the nodes' certificates: done\.\n$/s);
    });
    const renewed = identityOf("client", "client");
    const [nodesAfter, proxyAfter] = [await shakeAll(nodeIdentity(environment.nodePorts[0]!)), await shakeHands(proxy, renewed)];
    nodesAfter.forEach(({ served, accepted }, index) => {
      assert.notEqual(served.fingerprint256, nodesBefore[index]!.served.fingerprint256);
      assert.equal(served.fingerprint256, new X509Certificate(nodeIdentity(environment.nodePorts[index]!).cert).fingerprint256);
      assert.ok(accepted);
    });
    assert.notEqual(proxyAfter.served.fingerprint256, proxyBefore.served.fingerprint256);
    assert.ok(proxyAfter.accepted);
    assert.notEqual(renewed.cert, client.cert);
  });

  test("the Redis CA is rotated: killed half way, taken a step back, brought to its end", async (t) => {
    const old = nodeIdentity(environment.nodePorts[0]!);
    const issuers = async (): Promise<string[]> => (await shakeAll(old)).map(({ served }) => served.issuer);
    await underLoad(t, "Redis CA", async () => {
      assert.match(await rotate("redis-ca", "--step"), /redisCaRotation: init 2\n.*accept clients of CN=dev redis CA and of CN=dev redis CA 2\.\nNext is "update_clients 2"/s);
      await rotate("redis-ca", "--step");
      // As a hand at the configuration would go on.
      await environment.succeed("config", "set", "redisCaRotation", "update_servers 2");
      const third = `dev-redis-127.0.0.1-${environment.nodePorts[2]!}-process`;
      await environment.interrupt("the third node is being told", () => environment.checkpoint().pending.has(third), "all", "up", "--yes", "--skip-preview");
      // Nodes are told side by side, so how many had been told by then is for chance to decide.
      for (const issuer of await issuers()) assert.match(issuer, /^CN=dev redis CA( 2)?$/);
      // Nobody may go on to the next step over their heads.
      await environment.succeed("config", "set", "redisCaRotation", "standby 2");
      const { status, stdout, stderr } = await environment.command("start");
      assert.notEqual(status, 0);
      assert.match(stdout + stderr, /redisCaRotation: is "standby 2", but the step from "update_clients 2" to "update_servers 2" was cut off; expected "update_clients 2" or "update_servers 2", one step at a time/);
      assert.match(await rotate("redis-ca", "--rollback", "--step"), /between "update_clients 2" and "update_servers 2".*serve certificates of CN=dev redis CA, accept/s);
      assert.deepEqual(new Set(await issuers()), new Set(["CN=dev redis CA"]));
      assert.match(await rotate("redis-ca"), /serve certificates of CN=dev redis CA 2, accept clients of CN=dev redis CA 2, and refuse those of CN=dev redis CA\.\n.*the Redis CA is at "standby 2": done\.\n$/s);
    });
    assert.deepEqual((await shakeAll(old)).map(({ accepted }) => accepted), [false, false, false, false, false, false], "the old authority's leaf");
    assert.deepEqual((await shakeAll(nodeIdentity(environment.nodePorts[0]!))).map(({ accepted }) => accepted), [true, true, true, true, true, true]);
  });

  test("the db_client CA is rotated, also where the command itself is killed", async (t) => {
    const begun = path.join(environment.directory, "rotations.begun");
    await underLoad(t, "db_client CA", async () => {
      await environment.interruptCommand("the proxy is to sign with the new one", () => readFileSync(begun, "utf8").includes('"update_clients 2",\n      "init 2"'), "rotate", "db-client-ca");
      assert.match(await rotate("db-client-ca"), /the db_client CA is between "init 2" and "update_clients 2", where an update was cut off.*accept clients of CN=dev db_client CA 2, and refuse those of CN=dev db_client CA\.\n.*: done\.\n$/s);
    });
    // The proxy's own new connections: what it holds open it does not prove again.
    const { status } = await environment.command("status");
    assert.equal(status, 0);
  });

  test("passwords are rotated, of an application with both valid until it has the new one, and of the toolkit's own users", async (t) => {
    const own = async (step: string): Promise<void> => {
      for (const user of ["replica-user", "provisioner", "proxy"]) await environment.succeed("config", "set", "--path", `passwordRotations["${user}"]`, step);
    };
    const old = (await environment.outputs()).passwords["alice"]!;
    await underLoad(t, "passwords, the old one in use", async () => {
      await own("init 2");
      await rotate("password", "alice", "--step");
      await own("update_clients 2");
      assert.match(await rotate("password", "alice"), /let alice in with the old and the new password\.\nBoth passwords of alice are valid\. .*--drop-old\n$/s);
    });
    const renewed = (await environment.outputs()).passwords["alice"]!;
    assert.notEqual(renewed, old);
    await underLoad(t, "passwords, the new one in use", async () => {
      await own("standby 2");
      assert.match(await rotate("password", "alice", "--drop-old"), /let alice in with the new password, and no more with the old one\./);
    });
    for (const port of environment.nodePorts) {
      assert.equal(await askNode(environment, renewed, port, "PING"), "PONG");
      await assert.rejects(askNode(environment, old, port, "PING"), /WRONGPASS|NOAUTH/);
    }
  });

  test("and in the end all is as declared", async () => {
    assert.equal((await environment.command("drift")).status, 0);
  });

  test("a step that was left out is refused by name, wherever a rotation stands", async () => {
    const stands = (await environment.outputs()).rotationSteps["dbClientCaRotation"]!;
    const next = Number(/^standby (\d+)$/.exec(stands)![1]) + 1;
    await environment.succeed("config", "set", "dbClientCaRotation", `update_clients ${next}`);
    const { status, stdout, stderr } = await environment.pulumi("preview");
    assert.notEqual(status, 0);
    assert.ok((stdout + stderr).includes(`dbClientCaRotation: is "update_clients ${next}", but "${stands}" is what stands; expected "${stands}" or "init ${next}", one step at a time`), stdout + stderr);
  });
});
