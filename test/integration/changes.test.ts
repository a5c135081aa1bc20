/** What the stack's configuration changes reaches the running system, and clients that read and write all the while notice nothing. */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Environment } from "../support/environment.ts";
import { askNode, membersOf } from "../support/environment-clients.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { doorOf, underLoad as runUnderLoad } from "./support/environment-load.ts";

describe("a change of the stack's configuration, under load", () => {
  let environment: Environment;
  let passwords: Readonly<Record<string, string>>;
  /** What clients met during each change. */
  const table: string[] = [];
  /** The configuration that stays for the tests after. */
  let settled: Readonly<Record<string, unknown>> = {};

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

  const underLoad = <T>(name: string, change: () => Promise<T>, options: { readonly resends?: boolean } = {}): Promise<T> =>
    runUnderLoad(environment, { name, clients: 4, passwords: () => passwords, report: (line) => table.push(line), ...options }, change);

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
    assert.match(await environment.succeed("preview"), /goes on running, and is told parameter cluster-node-timeout 1000 → 1500; parameter maxmemory 0 → 209715200; parameter maxmemory-policy noeviction → allkeys-lru/);
    assert.deepEqual(await underLoad("live parameters", up), []);
    for (const [parameter, value] of Object.entries({ maxmemory: "209715200", "maxmemory-policy": "allkeys-lru", "cluster-node-timeout": "1500" })) {
      assert.deepEqual(await askAll("CONFIG", "GET", parameter), environment.nodePorts.map(() => [parameter, value]));
    }
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  });

  test("that Redis takes at its start only restarts one node after the other, replicas first, each master behind a replica", async () => {
    const before = { masters: await masters(), epoch: await epoch() };
    settled = { redisParameters: { "tcp-backlog": 256 } };
    environment.configure(settled);
    const restarted = await underLoad("restart-only parameter", up);
    assert.deepEqual([...restarted].sort(), allNodes());
    assert.deepEqual(restarted.slice(3).sort(), before.masters.map(recordOf).sort(), "masters come last");
    assert.equal(await epoch(), before.epoch + 3, "no more hand-overs than there are masters");
    assert.deepEqual(await askAll("CONFIG", "GET", "tcp-backlog"), environment.nodePorts.map(() => ["tcp-backlog", "256"]));
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  });

  test("of users is told while they run: a new one may log in, and nobody else notices, nor when one is removed", async () => {
    environment.configure({ ...settled, users: ["alice", "bob"] });
    assert.match(await environment.succeed("preview"), /goes on running, and takes over what follows from resources that are yet to be made, such as a new user's password/);
    assert.deepEqual(await underLoad("user added", up), []);
    passwords = (await environment.outputs()).passwords;
    const bob = await RawConnection.open(doorOf(environment, passwords), "bob");
    assert.equal(await bob.ask("SET", "bob", "1"), "+OK\r\n");
    const idle = await RawConnection.open(doorOf(environment, passwords), "bob");
    environment.configure({ ...settled, users: ["alice"] });
    assert.deepEqual(await underLoad("user removed", up), []);
    for (const users of await askAll("ACL", "USERS")) assert.ok(!(users as string[]).includes("bob"));
    // Both of them idle all the while, one that never asked for anything among them.
    await Promise.all([bob.closed(3_000), idle.closed(3_000)]);
  });

  test("that keeps a node from coming back stops there and says so, and the next update goes on from there", async () => {
    const leading = await masters();
    const [first, second] = environment.nodePorts.filter((port) => !leading.includes(port)).map(String).sort();
    const obstacle = path.join(environment.directory, "nodes", second!, "data", "elsewhere");
    // Redis wants a directory of this name, and finds that out at its start only.
    writeFileSync(obstacle, "");
    environment.configure({ redisParameters: { "tcp-backlog": 256, appendonly: true, appenddirname: "elsewhere" } });
    const before = environment.processes();
    const { status, stdout } = await underLoad("restart that fails", () => environment.pulumi("up", "--yes", "--skip-preview"));
    assert.notEqual(status, 0);
    assert.match(stdout, new RegExp(`127\\.0\\.0\\.1:${second!}: /usr/bin/redis-server did not become ready: it ended with exit code 1\\. The end of its log .*elsewhere.*Mend what it says, then run \`pulumi up\` again: it goes on from here`, "s"));
    assert.deepEqual(restartedSince(before), [recordOf(Number(first))]);
    assert.deepEqual([...before.keys()].filter((name) => !environment.processes().has(name)), [recordOf(Number(second))]);
    rmSync(obstacle);
    const again = await underLoad("restart that goes on", up);
    assert.deepEqual([...again].sort(), allNodes().filter((name) => name !== recordOf(Number(first))));
    assert.equal(again[0], recordOf(Number(second)));
    assert.deepEqual(await askAll("CONFIG", "GET", "appenddirname"), environment.nodePorts.map(() => ["appenddirname", "elsewhere"]));
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  });

  test("to another redis-server restarts one node after the other", async () => {
    const redisServer = path.join(environment.project, "another-redis-server");
    copyFileSync("/usr/bin/redis-server", redisServer);
    settled = { redisParameters: { "tcp-backlog": 256, appendonly: true, appenddirname: "elsewhere" }, redisServer };
    environment.configure(settled);
    const leading = await masters();
    assert.match(await environment.succeed("preview"), new RegExp(`will be restarted \\(a master now: after the replicas, one node at a time, once a replica has taken over\\): program /usr/bin/redis-server → ${redisServer}`));
    const restarted = await underLoad("another redis-server", up);
    assert.deepEqual([...restarted].sort(), allNodes());
    assert.deepEqual(restarted.slice(3).sort(), leading.map(recordOf).sort());
    for (const [name, { pid }] of environment.processes()) if (name.startsWith("nodes/")) assert.equal(readlinkSync(`/proc/${pid}/exe`), redisServer);
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  });

  test("to another proxy, or to what a proxy takes at its start only, hands the listening sockets over: no client that comes is refused or left without an answer", async () => {
    const refusals: string[] = [];
    const watch = { over: false };
    const visit = async (): Promise<void> => {
      const client = await RawConnection.open(doorOf(environment, passwords));
      assert.equal(await client.ask("SET", "visitor", "1"), "+OK\r\n");
      client.close();
    };
    const arriving = (async () => {
      while (!watch.over) {
        await visit().catch((error: unknown) => refusals.push(String(error)));
        await pause(20);
      }
    })();
    try {
      const program = path.join(environment.project, "proxy/main.ts");
      writeFileSync(program, readFileSync(program, "utf8").replace("Usage: node proxy.mjs", "How to use it: node proxy.mjs"));
      assert.match(await environment.succeed("preview"), /will be replaced by a new process that takes clients beside it.*another proxy\.mjs/);
      assert.deepEqual(await underLoad("another proxy bundle", up, { resends: true }), ["proxy/proxy.process"]);
      const [elsewhere] = await findFreePorts(1);
      environment.configure({ ...settled, adminListen: `127.0.0.1:${elsewhere!}` });
      assert.deepEqual(await underLoad("another admin address of the proxy", up, { resends: true }), ["proxy/proxy.process"]);
    } finally {
      watch.over = true;
      await arriving;
    }
    assert.deepEqual(refusals, []);
  });
});
