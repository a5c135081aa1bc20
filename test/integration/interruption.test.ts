/** A run that is killed, wherever it is, is completed by the next one, and nothing of it is left beside that. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";

import { Environment } from "../support/environment.ts";
import { membersOf, throughProxy } from "../support/environment-clients.ts";

/** A point of a run, told by what is to be seen then. */
interface Moment {
  readonly name: string;
  readonly isNow: (environment: Environment) => boolean;
  readonly victims?: "all" | "engine";
}

const at = (environment: Environment, name: string): string => path.join(environment.directory, name);
const nodeFile = (environment: Environment, index: number, name: string): string => at(environment, `nodes/${environment.nodePorts[index]!}/${name}`);
/** What a node has written down of the cluster: a line for each member that it knows, and one of variables. */
const clusterLines = (environment: Environment, index: number): string[] => readFileSync(nodeFile(environment, index, "data/nodes.conf"), "utf8").trim().split("\n");

const momentsOfUp: readonly Moment[] = [
  { name: "when the authorities are made", isNow: (environment) => environment.checkpoint().made.has("dev-redis-ca-certificate") },
  { name: "while files are written", isNow: (environment) => existsSync(nodeFile(environment, 2, "redis.conf")) },
  {
    name: "when a node runs that the state does not know yet",
    isNow: (environment) => existsSync(nodeFile(environment, 2, "redis-server.process")) && !environment.checkpoint().made.has(`dev-redis-127.0.0.1-${environment.nodePorts[2]!}-process`),
  },
  { name: "when the nodes have their slots and do not know each other", isNow: (environment) => clusterLines(environment, 0).some((line) => line.endsWith(" 0-5460")) },
  { name: "by the loss of the engine, while the nodes are introduced", isNow: (environment) => clusterLines(environment, 0).length > 3, victims: "engine" },
  {
    name: "when the cluster is formed, which the state does not know yet",
    isNow: (environment) => clusterLines(environment, 0).filter((line) => line.includes(" slave ")).length === 3 && environment.checkpoint().pending.has("dev-redis-formation"),
  },
  { name: "when the proxy runs, which the state does not know yet", isNow: (environment) => existsSync(at(environment, "proxy/proxy.process")) && environment.checkpoint().pending.has("dev-proxy-process") },
];

const momentsOfDestroy: readonly Moment[] = [
  { name: "when the proxy is stopped", isNow: (environment) => !environment.processes().has("proxy/proxy.process") },
  { name: "while the nodes are stopped", isNow: (environment) => environment.processes().size <= 3 },
  { name: "by the loss of the engine, while the nodes are stopped", isNow: (environment) => environment.processes().size <= 4, victims: "engine" },
  { name: "while files are deleted", isNow: (environment) => !existsSync(nodeFile(environment, 1, "redis.conf")) },
  { name: "when the directories are gone", isNow: (environment) => !existsSync(environment.directory) },
];

describe("a first update that is killed", () => {
  momentsOfUp.forEach((moment, index) => {
    const byHand = index % 2 === 0;
    const end = momentsOfDestroy[index];
    const alsoDestroy = end === undefined ? "" : `; and a destroy that is killed ${end.name} is completed`;
    test(`${moment.name} is completed by the next ${byHand ? "`pulumi up`" : "`npm start`"}${alsoDestroy}`, async () => {
      const environment = await Environment.prepare();
      try {
        await environment.interrupt(moment.name, () => moment.isNow(environment), moment.victims ?? "all", "up", "--yes", "--skip-preview");
        await (byHand ? goOnByHand(environment, "up", "--yes", "--skip-preview") : goOn(environment, "start"));
        await assertWhole(environment);
        if (end === undefined) return;
        await environment.interrupt(end.name, () => end.isNow(environment), end.victims ?? "all", "destroy", "--yes", "--skip-preview");
        await (byHand ? goOn(environment, "down") : goOnByHand(environment, "destroy", "--yes", "--skip-preview"));
        assertNothingLeft(environment);
      } finally {
        await environment.stop();
      }
    });
  });
});

for (const command of ["pulumi destroy", "npm run down"] as const) {
  test(`a first update that is killed, and not completed but ended by \`${command}\`, leaves nothing, not even a node that the state does not know`, async () => {
    const environment = await Environment.prepare();
    try {
      const moment = momentsOfUp[2]!;
      await environment.interrupt(moment.name, () => moment.isNow(environment), "all", "up", "--yes", "--skip-preview");
      await (command === "npm run down" ? goOn(environment, "down") : goOnByHand(environment, "destroy", "--yes", "--skip-preview"));
      assertNothingLeft(environment);
    } finally {
      await environment.stop();
    }
  });
}

/** As Pulumi's own messages tell a user to: release the lock of the run that is gone, run again, and forget what was pending. */
async function goOnByHand(environment: Environment, ...args: string[]): Promise<void> {
  const refused = await environment.pulumi(...args);
  assert.match(refused.stderr, /currently locked by 1 lock.*`pulumi cancel`/s);
  await environment.succeed("cancel", "--yes");
  await environment.succeed(...args);
  await environment.succeed("refresh", "--yes", "--skip-preview", "--clear-pending-creates");
}

/** With the project's own commands, which do all of that. */
async function goOn(environment: Environment, command: "start" | "down"): Promise<void> {
  const { status, stdout, stderr } = await environment.command(command);
  assert.equal(status, 0, stdout + stderr);
}

async function assertWhole(environment: Environment): Promise<void> {
  const processes = environment.processes();
  assert.deepEqual([...processes.keys()], [...environment.nodePorts.map((port) => `nodes/${port}/redis-server.process`), "proxy/proxy.process"].sort());
  assert.deepEqual([...environment.inhabitants()].sort(), [...processes.values()].map(({ pid }) => pid).sort(), "nothing else runs");
  assert.deepEqual([...environment.checkpoint().pending], []);
  const password = (await environment.outputs()).passwords["alice"]!;
  for (const port of environment.nodePorts) {
    const members = await membersOf(environment, password, port);
    assert.deepEqual([...members.keys()].sort(), [...environment.nodePorts].sort(), `the members that ${port} knows`);
    assert.equal([...members.values()].reduce((sum, { slots }) => sum + slots, 0), 16_384);
    assert.equal([...members.values()].filter(({ masterId }) => masterId !== undefined).length, 3);
  }
  await throughProxy(environment, password, async (client) => {
    assert.equal(await client.set("greeting", "hello"), "OK");
    assert.equal(await client.get("greeting"), "hello");
  });
  // Whichever way it was completed, the state was refreshed in the end.
  await environment.succeed("preview", "--expect-no-changes");
}

function assertNothingLeft(environment: Environment): void {
  assert.deepEqual(environment.inhabitants(), []);
  assert.ok(!existsSync(environment.directory), "no file is left");
  assert.deepEqual(environment.checkpoint(), { made: new Set(), pending: new Set() });
}
