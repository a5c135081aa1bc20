/** What the stack's configuration changes reaches the running system, and clients that read and write all the while notice nothing. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { checkHistory } from "../faults/support/check-history.ts";
import { Load } from "../faults/support/load.ts";
import { Environment } from "../support/environment.ts";
import { askNode, membersOf } from "../support/environment-clients.ts";
import { doorOf } from "./support/environment-load.ts";

const commandsAround = 300;

describe("a change of the stack's configuration, under load", () => {
  let environment: Environment;
  let passwords: Readonly<Record<string, string>>;
  /** What clients met during each change. */
  const table: string[] = [];

  before(async () => {
    environment = await Environment.start();
    passwords = (await environment.outputs()).passwords;
  });
  after(async () => {
    process.stdout.write(`${table.join("\n")}\n`);
    await environment.stop();
  });

  const recordOf = (port: number): string => `nodes/${port}/redis-server.process`;
  const allNodes = (): string[] => environment.nodePorts.map(recordOf).sort();
  const ask = (port: number, command: string, ...args: string[]): Promise<unknown> => askNode(environment, passwords["alice"]!, port, command, ...args);
  const askAll = (command: string, ...args: string[]): Promise<unknown[]> => Promise.all(environment.nodePorts.map((port) => ask(port, command, ...args)));
  const masters = async (): Promise<number[]> => [...(await membersOf(environment, passwords["alice"]!))].filter(([, { slots }]) => slots > 0).map(([port]) => port);
  /** Of all nodes together: each hand-over raises it by one. */
  const epoch = async (): Promise<number> => Math.max(...(await askAll("CLUSTER", "INFO")).map((text) => Number(/cluster_current_epoch:(\d+)/.exec(String(text))![1])));

  /** Has clients read and write while something is done; holds that no command has failed and no acknowledged write is lost. */
  async function underLoad<T>(name: string, change: () => Promise<T>): Promise<T> {
    const proxy = doorOf(environment, passwords);
    const load = new Load(proxy, { clients: 4, name: name.replaceAll(" ", "-") });
    let outcome: T;
    try {
      await load.progress(commandsAround);
      outcome = await change();
      await load.progress(commandsAround);
    } finally {
      table.push(`${name}: ${load.history.summary()}`);
      const expected = await load.stop();
      assert.deepEqual(load.history.errors, []);
      assert.deepEqual(await checkHistory(load.history, expected, proxy), { faults: [], lost: 0 });
    }
    return outcome;
  }

  /** Makes the stack as configured; records of processes that it has started anew, in the order of their starts. */
  async function up(): Promise<string[]> {
    const before = environment.processes();
    await environment.succeed("up", "--yes", "--skip-preview");
    return restartedSince(before);
  }

  function restartedSince(before: ReturnType<Environment["processes"]>): string[] {
    const restarted = [...environment.processes()].filter(([name, { startTime }]) => before.get(name)?.startTime !== startTime);
    return restarted.sort(([, a], [, b]) => Number(a.startTime) - Number(b.startTime)).map(([name]) => name);
  }

  test("that Redis takes while it runs is told to the running nodes", async () => {
    environment.configure({ redisParameters: { maxmemory: "200mb", "maxmemory-policy": "allkeys-lru" }, nodeTimeoutMs: 1500 });
    assert.deepEqual(await underLoad("live parameters", up), []);
    for (const [parameter, value] of Object.entries({ maxmemory: "209715200", "maxmemory-policy": "allkeys-lru", "cluster-node-timeout": "1500" })) {
      assert.deepEqual(await askAll("CONFIG", "GET", parameter), environment.nodePorts.map(() => [parameter, value]));
    }
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  });

  test("that Redis takes at its start only restarts one node after the other, replicas first, each master behind a replica", async () => {
    const before = { masters: await masters(), epoch: await epoch() };
    environment.configure({ redisParameters: { "tcp-backlog": 256 } });
    const restarted = await underLoad("restart-only parameter", up);
    assert.deepEqual([...restarted].sort(), allNodes());
    assert.deepEqual(restarted.slice(3).sort(), before.masters.map(recordOf).sort(), "masters come last");
    assert.equal(await epoch(), before.epoch + 3, "no more hand-overs than there are masters");
    assert.deepEqual(await askAll("CONFIG", "GET", "tcp-backlog"), environment.nodePorts.map(() => ["tcp-backlog", "256"]));
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  });
});
