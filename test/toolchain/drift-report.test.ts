import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { isTold, reportDrift } from "../../toolchain/commands/lib/drift-report.ts";
import { driftLine, driftMarkdown } from "../../toolchain/commands/lib/drift-text.ts";
import type { EngineEvent, ResourceState } from "../../toolchain/commands/lib/engine-events.ts";
import { PROJECT } from "./support/checkout.ts";

const stack = "urn:pulumi:dev::redis-access::";
const node = `${stack}redis-access:index:RedisCluster$redis-access:index:RedisNode::dev-redis-127.0.0.1-7001`;
const proxy = `${stack}redis-access:index:AccessProxy::dev-proxy`;
const maxmemory = { thing: "parameter maxmemory", declared: "0", actual: "100", mend: "live" };

function resource(parent: string, name: string, type: string, state: Omit<ResourceState, "parent">): { urn: string; type: string; state: ResourceState } {
  return { urn: `${parent.replace(/::[^:]*$/, "")}$${type}::${name}`, type, state: { parent, ...state } };
}

const nodeProcess = resource(node, "dev-redis-127.0.0.1-7001-process", "redisaccess:index:Process", { inputs: { listens: [{ host: "127.0.0.1", port: 7001 }, { host: "127.0.0.1", port: 17001 }] }, outputs: { drift: [maxmemory] } });
const proxyProcess = resource(proxy, "dev-proxy-process", "redisaccess:index:Process", { inputs: { listens: [{ host: "::1", port: 7379 }] }, outputs: { drift: [{ thing: "node", declared: "running", actual: "stopped", mend: "start" }] } });
const key = resource(node, "dev-redis-127.0.0.1-7001-server.key", "redisaccess:index:File", { inputs: { path: "/srv/nodes/7001/server.key" }, outputs: { drift: [] } });

function refreshed({ urn, type, state }: typeof key, seen: ResourceState | null = state): EngineEvent {
  return { resOutputsEvent: { metadata: { op: "refresh", urn, type, old: state, new: seen } } };
}

function planned({ urn, type, state }: typeof key, op: string, diffs: string[] = []): EngineEvent {
  return { resourcePreEvent: { metadata: { op, urn, type, diffs, old: state, new: state } } };
}

test("what the resources found is told by where it is, with what an update does and whether clients notice", () => {
  const lines = reportDrift([refreshed(proxyProcess), refreshed(key, null), refreshed(nodeProcess), planned(nodeProcess, "update", ["drift"]), planned(key, "create")]).map(driftLine);
  assert.deepEqual(lines, [
    "node 127.0.0.1:7001: server.key: declared there; actual missing. `up` writes it anew. Clients: do not notice.",
    "node 127.0.0.1:7001: parameter maxmemory: declared 0; actual 100. `up` changes it in the running node. Clients: do not notice.",
    "proxy [::1]:7379: node: declared running; actual stopped. `up` starts it. Clients: can connect again.",
  ]);
});

test("what the code says otherwise than at the last update is told apart from what has drifted", () => {
  const fresh = resource(node, "dev-redis-127.0.0.1-7001-new.conf", "redisaccess:index:File", { inputs: { path: "/srv/new.conf" } });
  const differences = reportDrift([refreshed(nodeProcess), refreshed(key), planned(nodeProcess, "update", ["drift", "args"]), planned(fresh, "create"), planned(key, "delete")]);
  assert.deepEqual(differences.map(({ thing, mend }) => [thing, mend]), [
    ["parameter maxmemory", "live"],
    ["dev-redis-127.0.0.1-7001-process", "apply"],
    ["dev-redis-127.0.0.1-7001-new.conf", "apply"],
    ["dev-redis-127.0.0.1-7001-server.key", "apply"],
  ]);
});

test("what the code has changed is told in an operator's words, and what is made or removed by the component that it is a part of", () => {
  const cluster = `${stack}redis-access:index:RedisCluster::dev-redis`;
  const part = resource(node, "dev-redis-127.0.0.1-7001-new.conf", "redisaccess:index:File", {});
  const component = resource(cluster, "dev-redis-127.0.0.1-7001", "redis-access:index:RedisNode", {});
  for (const [op, declared] of [["create", "in the code"], ["delete", "no longer in the code"]] as const) {
    const told = reportDrift([planned({ ...component, urn: node }, op), planned(part, op), planned(key, "update", ["sha256"]), planned(nodeProcess, "update", ["nodeDeclaration", "reloadOn", "restartOn", "args"])]);
    assert.deepEqual(told.map(({ subject, thing, declared: said }) => [subject, thing, said]), [
      ["cluster", "dev-redis-127.0.0.1-7001", declared],
      ["node 127.0.0.1:7001", "dev-redis-127.0.0.1-7001-server.key", "otherwise since the last update (content)"],
      ["node 127.0.0.1:7001", "dev-redis-127.0.0.1-7001-process", "otherwise since the last update (configuration, what it reads, args)"],
    ]);
  }
});

test("what differs in a resource that the code has no more goes with it", () => {
  const [inside, whole] = reportDrift([refreshed(nodeProcess), planned(nodeProcess, "delete")]);
  assert.deepEqual([inside!.thing, inside!.mend, whole!.thing, whole!.mend], ["parameter maxmemory", "apply", "dev-redis-127.0.0.1-7001-process", "apply"]);
  assert.match(driftLine(inside!), /`up` removes it with what it belongs to/);
});

test("of a stack that is down one line tells all", () => {
  const root = { urn: `${stack}pulumi:pulumi:Stack::redis-access-dev`, type: "pulumi:pulumi:Stack", state: {} };
  assert.deepEqual(reportDrift([planned(root, "create"), planned(nodeProcess, "create"), planned(key, "create")]).map(driftLine), [
    "stack: all of it: declared 3 resources; actual nothing made. `up` makes it. Clients: can connect then.",
  ]);
});

test("that a cluster's formation follows its nodes' processes is no drift of its own", () => {
  const formation = resource(`${stack}redis-access:index:RedisCluster::dev-redis`, "dev-redis-formation", "redisaccess:index:ClusterFormation", { outputs: { drift: [] } });
  assert.deepEqual(reportDrift([refreshed(formation), planned(formation, "update", ["memberPids", "drift"])]), []);
});

test("a Markdown table survives what stands in its cells", () => {
  const [difference] = reportDrift([refreshed({ ...nodeProcess, state: { ...nodeProcess.state, outputs: { drift: [{ ...maxmemory, thing: "user a|b", actual: "one\ntwo" }] } } })]);
  assert.equal(driftMarkdown("dev", [difference!], "").split("\n").at(-1), "| node 127.0.0.1:7001 | user a\\|b | 0 | one two |  | changes it in the running node | do not notice |");
  assert.equal(driftMarkdown("dev", [], "a port is taken"), "### Stack dev: no differences from what is declared\n\nThe check did not come to its end, and neither would an update: a port is taken");
});

test("what a node says cannot wipe out lines before it, begin another one, or be more than text in a page", () => {
  const escape = "\u001b[1A\u001b[2K";
  const [difference] = reportDrift([refreshed({ ...nodeProcess, state: { ...nodeProcess.state, outputs: { drift: [{ ...maxmemory, thing: `user ${escape}`, actual: "one\ntwo <img>\u202e" }] } } })]);
  const line = driftLine(difference!);
  assert.ok(line.startsWith(String.raw`node 127.0.0.1:7001: user \u{1b}[1A\u{1b}[2K: declared 0; actual one\u{a}two <img>\u{202e}`), line);
  const row = driftMarkdown("dev", [difference!], "").split("\n").at(-1)!;
  assert.ok(row.startsWith(String.raw`| node 127.0.0.1:7001 | user \\u{1b}[1A\\u{1b}[2K | 0 | one two &lt;img>\\u{202e} |`), row);
});

test("what an update would be refused with is told by a difference, or the check has failed", () => {
  const taken = "[::1]:7379 is already taken by node (pid 7)";
  const blocked = { ...proxyProcess, state: { ...proxyProcess.state, outputs: { drift: [{ thing: "node", declared: "running", actual: "stopped", mend: "refuse", refusals: [taken] }] } } };
  const differences = reportDrift([refreshed(blocked)]);
  assert.ok(isTold(`proxyListen: ${taken}; stop it`, differences));
  assert.ok(!isTold(`proxyListen: ${taken}; stop it\nredisServer: is not there`, differences));
  assert.ok(!isTold("", differences));
  assert.match(driftMarkdown("dev", differences, taken), /\n\nAn update would be refused until that is mended, .*: \[::1\]:7379 is already taken/);
});

test("the ready workflow previews pull requests, updates on merge and checks by the clock, each by the script that every CI can run", () => {
  const text = readFileSync(path.join(PROJECT, "toolchain/ci/github-actions.yml"), "utf8");
  const { on, jobs } = parse(text) as { on: Record<string, unknown>; jobs: Record<string, { steps: { run?: string }[] }> };
  assert.deepEqual(Object.keys(on), ["pull_request", "push", "schedule", "workflow_dispatch"]);
  assert.deepEqual(Object.entries(jobs).map(([name, { steps }]) => [name, steps.at(-1)?.run]), ["preview", "up", "drift"].map((name) => [name, `toolchain/ci/pipeline.sh ${name} "$STACK"`]));
});
