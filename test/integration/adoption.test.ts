/** What the state does not know but is as declared is adopted; what is not this stack's is refused by name, and not touched. */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Child } from "../support/child.ts";
import { Environment } from "../support/environment.ts";
import { askNode, membersOf, throughProxy } from "../support/environment-clients.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { waitFor } from "../support/wait-for.ts";

interface StoredResource {
  readonly urn: string;
  readonly type: string;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly dependencies?: readonly string[];
  readonly propertyDependencies?: Readonly<Record<string, readonly string[] | null>>;
}

interface Exported {
  readonly deployment: { readonly resources: readonly StoredResource[] };
}

const keyCount = 1000;
const limitMs = 30_000;

describe("a running cluster", () => {
  let environment: Environment;
  let password: string;
  let ids: readonly (string | undefined)[];

  before(async () => {
    environment = await Environment.start();
    const outputs = await environment.outputs();
    password = outputs.passwords["alice"]!;
    ids = outputs.nodes.map(({ id }) => id);
    await throughProxy(environment, password, async (client) => {
      const pipeline = client.pipeline();
      for (let index = 0; index < keyCount; index++) pipeline.set(`key:${index}`, String(index));
      await pipeline.exec();
    });
  });
  after(() => environment.stop());

  const assertSameCluster = async (): Promise<void> => {
    const outputs = await environment.outputs();
    assert.deepEqual(outputs.nodes.map(({ id }) => id), ids);
    assert.equal(await throughProxy(environment, outputs.passwords["alice"]!, (client) => client.dbsize()), keyCount);
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  };

  test("whose files, processes and formation the state has lost is adopted as it is: nothing is written, started or formed", async () => {
    const before = snapshot(environment);
    // Passwords and the beginnings of certificates' terms are nowhere but in the state.
    await forget(environment, ({ type }) => /^redisaccess:index:(?!(Password|CertificateTerm)$)/.test(type));
    await environment.succeed("up", "--yes", "--skip-preview");
    assert.deepEqual(snapshot(environment), before);
    await assertSameCluster();
  });

  test("is not taken over by another stack that declares the same directory and ports", async () => {
    const before = snapshot(environment);
    const stacks = path.join(environment.project, "stacks");
    copyFileSync(path.join(stacks, `Pulumi.${environment.stack}.yaml`), path.join(stacks, "Pulumi.other.yaml"));
    await environment.succeed("stack", "init", "other", "--no-select");
    const refused = await environment.pulumi("up", "--stack", "other", "--yes", "--skip-preview");
    assert.notEqual(refused.status, 0);
    assert.match(refused.stdout, /directory: \S+ belongs to the stack redis-access\/dev; choose another directory, or destroy that stack first/);
    assert.deepEqual(snapshot(environment), before);
    await environment.succeed("stack", "rm", "other", "--yes");
    await environment.succeed("stack", "select", environment.stack);
  });

  test("that has taken in a node which is not declared is refused by the names of both, and adopted once that one is out", async () => {
    const stranger = await startStranger(environment);
    const [asked] = environment.nodePorts as [number];
    try {
      await waitFor("the node that is not declared answers", limitMs, () => askNode(environment, password, asked, "CLUSTER", "MEET", "127.0.0.1", String(stranger.port)));
      const known = await waitFor("every node knows it", limitMs, async () => {
        const views = await Promise.all(environment.nodePorts.map((port) => membersOf(environment, password, port)));
        const members = views.map((view) => view.get(stranger.port));
        return members.every((member) => member?.handshaking === false) && members[0];
      });
      await forget(environment, ({ urn }) => /::(dev-redis-formation|dev-proxy-process)$/.test(urn));
      const before = snapshot(environment);
      const refused = await environment.pulumi("up", "--yes", "--skip-preview");
      assert.notEqual(refused.status, 0);
      const advice = /is in a cluster with (\S+), which is not declared; take that one out \(redis-cli (--cluster del-node \S+ [0-9a-f]{40})\), or declare/.exec(refused.stdout);
      assert.equal(advice?.[1], `127.0.0.1:${stranger.port}`);
      assert.ok(advice[2]!.endsWith(known.id));
      assert.deepEqual(snapshot(environment), before);

      await environment.run("bash", ["-c", `REDISCLI_AUTH=${password} redis-cli --user alice ${tlsArguments(environment, asked)} ${advice[2]!}`]);
      await waitFor("it is forgotten", limitMs, async () => !(await membersOf(environment, password)).has(stranger.port));
    } finally {
      await stranger.child.stop();
    }
    await environment.succeed("up", "--yes", "--skip-preview");
    await assertSameCluster();
  });

  test("of which the state has lost everything, passwords and authorities too, keeps its nodes and its data and gets new ones", async () => {
    await environment.succeed("stack", "rm", environment.stack, "--force", "--yes");
    environment.configure();
    await environment.succeed("stack", "init", environment.stack);
    await environment.succeed("up", "--yes", "--skip-preview");
    assert.notEqual((await environment.outputs()).passwords["alice"], password);
    await assertSameCluster();
  });

  test("whose data was kept is refused to nodes at other addresses, before one of them runs, and found again at its own", async () => {
    environment.configure({ keepData: true });
    await environment.succeed("up", "--yes", "--skip-preview");
    await environment.succeed("destroy", "--yes", "--skip-preview");
    const [moved, ...others] = environment.nodePorts;
    const [elsewhere] = await findFreePorts(1, 10_000);
    environment.configure({ keepData: true, nodes: [elsewhere!, ...others].map((port) => `127.0.0.1:${port}`) });
    const refused = await environment.pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(refused.status, 0);
    assert.match(refused.stdout, new RegExp(`directory: \\S+/nodes/(${others.join("|")})/data holds the data of a node in a cluster with 127\\.0\\.0\\.1:${moved!}, which the declaration does not name`), refused.stdout);
    const started = [...environment.processes().keys()].filter((record) => !record.includes(String(elsewhere)));
    assert.deepEqual(started, [], "only the new node, which has no data, may run");
    await environment.succeed("destroy", "--yes", "--skip-preview");

    environment.configure();
    await environment.succeed("up", "--yes", "--skip-preview");
    await assertSameCluster();
    await environment.succeed("destroy", "--yes", "--skip-preview");
    assert.ok(!existsSync(path.join(environment.directory, `nodes/${moved!}`)));
  });
});

test("a node that holds a key and is in no cluster is refused with what it holds; emptied, the cluster is formed", async () => {
  const environment = await Environment.prepare();
  try {
    const port = environment.nodePorts[0]!;
    // They are started side by side, in any order.
    const records = environment.nodePorts.map((each) => path.join(environment.directory, `nodes/${each}/redis-server.process`));
    await environment.interrupt("the nodes run", () => records.every((file) => existsSync(file)), "all", "up", "--yes", "--skip-preview");
    await environment.succeed("cancel", "--yes");
    const password = await storedPassword(environment);
    const call = (command: string, ...args: string[]): Promise<unknown> => askNode(environment, password, port, command, ...args);
    await waitFor("the node answers", limitMs, () => call("PING"));
    await call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    await waitFor("the node takes keys", limitMs, () => call("SET", "someone", "needs this"));
    const refused = await environment.pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(refused.status, 0);
    assert.match(refused.stdout, new RegExp(`127\\.0\\.0\\.1:${port} holds 1 key\\(s\\) and 16384 slot\\(s\\), but is in no cluster; empty it if nobody needs that`));
    assert.equal(await call("GET", "someone"), "needs this");
    assert.ok(!environment.processes().has("proxy/proxy.process"));

    await call("FLUSHALL");
    await call("CLUSTER", "RESET", "HARD");
    await environment.succeed("up", "--yes", "--skip-preview");
    assert.equal(environment.processes().size, 7);
  } finally {
    await environment.stop();
  }
});

/** The password of alice, where the stack has no outputs yet. */
async function storedPassword(environment: Environment): Promise<string> {
  const exported = JSON.parse(await environment.succeed("stack", "export", "--show-secrets")) as Exported;
  const stored = exported.deployment.resources.find(({ urn }) => urn.endsWith("::dev-redis-password-alice"))!;
  return JSON.parse((stored.outputs!["value"] as { readonly plaintext: string }).plaintext) as string;
}

/** Takes resources out of the state; the world stays as it is. */
async function forget(environment: Environment, lost: (resource: StoredResource) => boolean): Promise<void> {
  const file = path.join(environment.project, "export.json");
  const exported = JSON.parse(await environment.succeed("stack", "export")) as Exported;
  const gone = new Set(exported.deployment.resources.filter(lost).map(({ urn }) => urn));
  assert.ok(gone.size > 0);
  const keep = (urns: readonly string[] | null | undefined): readonly string[] => (urns ?? []).filter((urn) => !gone.has(urn));
  const resources = exported.deployment.resources
    .filter(({ urn }) => !gone.has(urn))
    .map((resource) => ({
      ...resource,
      dependencies: keep(resource.dependencies),
      propertyDependencies: Object.fromEntries(Object.entries(resource.propertyDependencies ?? {}).map(([name, urns]) => [name, keep(urns)])),
    }));
  writeFileSync(file, JSON.stringify({ ...exported, deployment: { ...exported.deployment, resources } }));
  await environment.succeed("stack", "import", "--file", file);
}

/** Every process of the environment, and when each file was last written, but for what the programs themselves write. */
function snapshot(environment: Environment): unknown {
  const entries = readdirSync(environment.directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = entries.map((entry) => path.join(entry.parentPath, entry.name)).filter((name) => !/\/data\/|\.log$|\.redis-access-directory$/.test(name));
  return { processes: environment.processes(), files: new Map(names.sort().map((name) => [name, statSync(name).mtimeMs])) };
}

/** Starts a node with the cluster's own trust and users, as someone might who adds one by hand. */
async function startStranger(environment: Environment): Promise<{ readonly port: number; readonly child: Child }> {
  const [port] = (await findFreePorts(1, 10_000)) as [number];
  const model = path.join(environment.directory, `nodes/${environment.nodePorts[0]!}`);
  const directory = path.join(environment.project, "stranger");
  mkdirSync(directory);
  const conf = readFileSync(path.join(model, "redis.conf"), "utf8").replaceAll(path.join(model, "data"), directory).replace(/^tls-port .*$/m, `tls-port ${port}`).replace(/^logfile .*$/m, "");
  writeFileSync(path.join(directory, "redis.conf"), conf, { mode: 0o600 });
  return { port, child: new Child({ command: "/usr/bin/redis-server", args: ["redis.conf"], directory, logFile: path.join(directory, "log") }) };
}

function tlsArguments(environment: Environment, port: number): string {
  const at = (name: string): string => path.join(environment.directory, "nodes", String(port), name);
  return `--tls --cacert ${at("ca.crt")} --cert ${at("server.crt")} --key ${at("server.key")}`;
}
