/** A stack from its first update to its end, with the real engine, real Redis and the real proxy. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, describe, test } from "node:test";

import { nodeName } from "../../components/cluster-plan.ts";
import { throughProxy } from "../support/environment-clients.ts";
import { Environment } from "../support/environment.ts";
import { findFreePorts } from "../support/free-ports.ts";
import type { RunResult } from "../support/environment.ts";

describe("a stack", () => {
  let environment: Environment;
  let first: RunResult;
  /** Argument lists of all processes that were seen while the stack was made. */
  let commandLines: ReadonlySet<string>;

  before(async () => {
    environment = await Environment.prepare();
    [first, commandLines] = await whileWatching(environment.pulumi("up", "--yes", "--skip-preview"));
  });
  after(() => environment.stop());

  test("is made by one update", () => {
    assert.equal(first.status, 0, first.stdout + first.stderr);
    assert.match(first.stdout, /Resources:\n {4}\+ \d+ created\n/);
    assert.deepEqual([...environment.processes().keys()].sort(), [...environment.nodePorts.map((port) => `nodes/${port}/redis-server.process`), "proxy/proxy.process"].sort());
  });

  test("tells what people and applications need", async () => {
    const outputs = await environment.outputs();
    assert.equal(outputs.connectionUri, `rediss://alice@127.0.0.1:${environment.proxyPort}`);
    assert.equal(outputs.clusterUri, `rediss://alice@127.0.0.1:${environment.nodePorts[0]!}`);
    assert.ok(new X509Certificate(outputs.caCertificate).ca);
    assert.deepEqual(outputs.nodes.map(nodeName), environment.nodePorts.map((port) => `127.0.0.1:${port}`));
    assert.equal(new Set(outputs.nodes.map(({ id }) => id)).size, 6);
    for (const { id } of outputs.nodes) assert.match(id ?? "", /^[0-9a-f]{40}$/);
    assert.deepEqual(outputs.users, ["alice"]);
    assert.deepEqual(Object.keys(outputs.passwords), ["alice"]);
    assert.match(outputs.passwords["alice"]!, /^[0-9a-f]{64}$/);
    for (const file of Object.values(outputs.clientFiles)) assert.match(readFileSync(file, "utf8"), /^-----BEGIN /);
    assert.ok(Array.isArray(outputs.tryIt) && outputs.tryIt.length > 0);
  });

  test("hides its passwords unless they are asked for", async () => {
    const { alice } = (await environment.outputs()).passwords as { alice: string };
    const hidden = await environment.command("outputs");
    assert.equal((JSON.parse(hidden.stdout) as { passwords: unknown }).passwords, "[secret]");
    assert.ok(!(await environment.succeed("stack", "output", "--json")).includes(alice));
    const shown = await environment.command("outputs", "--show-secrets");
    assert.deepEqual((JSON.parse(shown.stdout) as { passwords: unknown }).passwords, { alice });
  });

  test("tells commands to try, which work as they are pasted", async () => {
    const { tryIt } = await environment.outputs();
    const answers: string[] = [];
    for (const command of Object.values(tryIt)) {
      const { stdout, stderr, status } = await environment.run("bash", ["-c", `cd / && ${command}`]);
      assert.equal(status, 0, stderr);
      answers.push(stdout);
    }
    assert.deepEqual(answers, ["OK\n", "hello\n"]);
  });

  test("shows no secret in an argument list, its state, its output or a log", async () => {
    const secrets = secretsOf(environment.directory);
    secrets.push((await environment.outputs()).passwords["alice"]!);
    assert.ok(secrets.length >= 10, "a key for each of six nodes, the proxy, the client and the db_client CA, and passwords");
    assert.ok([...commandLines].some((line) => line.includes("--cluster create")), "the creation of the cluster was watched");
    const state = environment.state();
    const logs = filesIn(environment.directory).filter((file) => file.endsWith(".log")).map((file) => readFileSync(file, "utf8"));
    assert.ok(logs.length >= 7);
    for (const secret of secrets) {
      for (const line of commandLines) assert.ok(!line.includes(secret), `an argument list: ${line.slice(0, 40)}`);
      assert.ok(!state.includes(secret), "the state");
      assert.ok(!first.stdout.includes(secret), "the update's output");
      for (const log of logs) assert.ok(!log.includes(secret), "a log");
    }
  });

  test("shows no secret in a preview of a change, in full or as JSON, in its outputs or its export", async () => {
    const secrets = secretsOf(environment.directory);
    // Changes every redis.conf, which holds the password of replication, and what every node is told.
    environment.configure({ nodeTimeoutMs: 2000 });
    try {
      const shown = {
        diff: await environment.succeed("preview", "--diff", "--show-reads"),
        json: await environment.succeed("preview", "--json"),
        outputs: await environment.succeed("stack", "output"),
        exported: await environment.succeed("stack", "export"),
      };
      assert.match(shown.diff, /~ 12 to update/);
      for (const [where, text] of Object.entries(shown)) {
        for (const secret of [...secrets, "PRIVATE KEY"]) assert.ok(!text.includes(secret), where);
      }
    } finally {
      environment.configure();
    }
  });

  test("is not changed at all where none of its cluster's nodes is declared any more", async () => {
    const before = environment.processes();
    const { nodePorts, proxyPort } = environment;
    const elsewhere = await findFreePorts(6, 10_000);
    const declared = (port: number): string => `127.0.0.1:${port}`;
    environment.configure({ nodes: elsewhere.map(declared) });
    try {
      const { status, stdout, stderr } = await environment.command("start");
      assert.equal(status, 1, stdout + stderr);
      assert.ok((stdout + stderr).includes(`nodes: none of the cluster's nodes is left: ${nodePorts.map(declared).join(", ")}; expected at least one of them, for the others to join`), stdout + stderr);
      assert.deepEqual(environment.processes(), before);
      assert.ok(!existsSync(path.join(environment.directory, "nodes", String(elsewhere[0]!))));
      assert.match(readFileSync(path.join(environment.directory, "proxy/proxy.yaml"), "utf8"), new RegExp(`listen: 127\\.0\\.0\\.1:${proxyPort}\n`));
    } finally {
      environment.configure();
    }
  });

  test("keeps its files from everyone else", () => {
    assert.equal(lstatSync(environment.directory).mode & 0o777, 0o700);
    for (const file of filesIn(environment.directory)) {
      // What Redis itself writes lies behind the directory's mode.
      if (!file.includes("/data/")) assert.equal(lstatSync(file).mode & 0o077, 0, file);
    }
  });

  test("lives on without whoever started it", () => {
    for (const [name, { pid }] of environment.processes()) {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [, , group, session, terminal] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      assert.deepEqual([group, session, terminal], [String(pid), String(pid), "0"], `${name} has a session of its own, and no terminal`);
    }
  });

  test("is unchanged in a preview, a preview with refresh and an update", async () => {
    const before = environment.processes();
    await environment.succeed("preview", "--expect-no-changes");
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
    const { stdout, status, stderr } = await environment.command("start");
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^Nothing changed: stack dev is as declared\.$/m);
    assert.deepEqual(environment.processes(), before);
  });

  test("takes a change of the proxy's configuration over without a client noticing, and what only a restart can do by one", async () => {
    const before = environment.processes();
    const { alice } = (await environment.outputs()).passwords as { alice: string };
    await throughProxy(environment, alice, async (client) => {
      const ends: string[] = [];
      assert.equal(await client.ping(), "PONG");
      client.on("close", () => ends.push("closed"));
      environment.configure({ auditCommands: "denied" });
      await environment.succeed("up", "--yes", "--skip-preview");
      assert.equal(await client.ping(), "PONG");
      assert.deepEqual(ends, []);
      assert.deepEqual(environment.processes(), before);
      await environment.succeed("preview", "--refresh", "--expect-no-changes");

      const [elsewhere] = await findFreePorts(1);
      environment.configure({ adminListen: `127.0.0.1:${elsewhere!}` });
      await environment.succeed("up", "--yes", "--skip-preview");
      assert.equal(await client.ping(), "PONG", "it has connected again");
      assert.notDeepEqual(ends, []);
    });
    const restarted = environment.processes();
    assert.deepEqual([...restarted].filter(([name, { pid }]) => before.get(name)?.pid !== pid).map(([name]) => name), ["proxy/proxy.process"]);
    environment.configure();
    await environment.succeed("up", "--yes", "--skip-preview");
  });

  test("moves its state out and in again", async () => {
    const file = path.join(environment.project, "export.json");
    await environment.succeed("stack", "export", "--file", file);
    await environment.succeed("stack", "import", "--file", file);
    await environment.succeed("preview", "--expect-no-changes");
  });

  test("with protected authorities and data to keep is not destroyed, but for a plain reason", async () => {
    environment.configure({ protectAuthorities: true, keepData: true });
    await environment.succeed("up", "--yes", "--skip-preview");
    const { status, stdout, stderr } = await environment.pulumi("destroy", "--yes");
    assert.notEqual(status, 0);
    assert.match(stdout + stderr, /cannot be deleted\s+because it is protected/);
    assert.equal(environment.processes().size, 7, "all still runs");
  });

  test("with protected authorities refuses a destroy without preview before anything is deleted, and says how to lift that", async () => {
    const made = environment.checkpoint().made;
    const { status, stdout } = await environment.pulumi("destroy", "--yes", "--skip-preview");
    assert.notEqual(status, 0);
    assert.match(stdout, /this stack is protected, and nothing of it was deleted\./);
    assert.match(stdout, /To keep them and remove the rest, type: npm run down -- --stack dev\n.*To lift the protection, type: pulumi config set protectAuthorities false --stack dev && pulumi up --stack dev/);
    assert.deepEqual(environment.checkpoint(), { made, pending: new Set() });
    assert.equal(environment.processes().size, 7, "all still runs");
  });

  test("with protected authorities is refused by its proxy and its cluster, too, as in a program that has no protection of the whole", async () => {
    await environment.succeed("state", "delete", environment.urnOf("dev-protection"), "--yes");
    const { status, stdout } = await environment.pulumi("destroy", "--yes", "--skip-preview");
    assert.notEqual(status, 0);
    assert.match(stdout, /this (?:proxy|cluster) is protected, and nothing of it was deleted\. To lift the protection, set `protectAuthority` of its authorities to false, or `refuseDestroy` of dev-(?:proxy|redis), and update\./);
    assert.equal(environment.processes().size, 7, "all still runs");
  });

  test("is taken down but for these, and finds them again", async () => {
    const { caCertificate } = await environment.outputs();
    const down = await environment.command("down");
    assert.equal(down.status, 0, down.stdout + down.stderr);
    assert.match(down.stdout, /Stack dev is down\. Kept, because they are protected: dev-db-ca-certificate, dev-db-ca-key, /);
    assert.equal(environment.processes().size, 0);
    const left = filesIn(environment.directory).map((file) => path.relative(environment.directory, file));
    assert.deepEqual(left.filter((file) => !/^nodes\/\d+\/data\/|\.redis-access-directory$|^proxy\/audit\.log$/.test(file)), []);
    assert.ok(left.includes("proxy/audit.log") && left.some((file) => file.endsWith("data/dump.rdb")));

    const up = await environment.command("start");
    assert.equal(up.status, 0, up.stdout + up.stderr);
    const outputs = await environment.outputs();
    assert.equal(outputs.caCertificate, caCertificate);
    const { stdout } = await environment.run("bash", ["-c", Object.values(outputs.tryIt).at(-1)!]);
    assert.equal(stdout, "hello\n", "what was written before it was taken down");
    assert.match(readFileSync(path.join(environment.directory, "proxy/audit.log"), "utf8").split("\n")[0]!, /^\{/);
  });

  test("leaves nothing behind in the end", async () => {
    await environment.succeed("config", "set", "protectAuthorities", "false", "--stack", "dev");
    await environment.succeed("config", "set", "keepData", "false", "--stack", "dev");
    await environment.succeed("up", "--stack", "dev", "--yes", "--skip-preview");
    const { status, stdout, stderr } = await environment.command("down");
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /Stack dev is down: nothing of it is left\./);
    assert.ok(!existsSync(environment.directory));
    assert.deepEqual([...(argumentLists())].filter((line) => line.includes(environment.directory)), []);
  });
});

/** Files below a directory, by absolute path. */
function filesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

/** Private keys (a line of each) and passwords that an environment's files hold. */
function secretsOf(directory: string): string[] {
  return filesIn(directory).flatMap((file) => {
    const text = readFileSync(file, "latin1");
    if (file.endsWith(".key")) return [text.split("\n")[1]!];
    if (file.endsWith(".password")) return [text.trim()];
    return file.endsWith("redis.conf") ? [/^masterauth (\S+)$/m.exec(text)![1]!] : [];
  });
}

/** Gives what was awaited, and the argument lists that were seen meanwhile. */
async function whileWatching<T>(work: Promise<T>): Promise<[T, ReadonlySet<string>]> {
  const seen = new Set<string>();
  const watch = { over: false };
  const watching = (async () => {
    while (!watch.over) {
      for (const line of argumentLists()) seen.add(line);
      await pause(100);
    }
  })();
  try {
    return [await work, seen];
  } finally {
    watch.over = true;
    await watching;
  }
}

function argumentLists(): ReadonlySet<string> {
  const lines = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    } catch {
      return ""; // it has just ended
    }
  });
  return new Set(lines);
}
