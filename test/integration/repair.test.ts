/** What breaks in a running environment is put right by `pulumi up --refresh`, and nothing else is touched. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, chmodSync, lstatSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import type { Redis } from "ioredis";

import type { MemberView } from "../../components/formation-plan.ts";
import { Environment } from "../support/environment.ts";
import type { ResourceChange } from "../support/environment.ts";
import { membersOf, throughProxy as useProxy } from "../support/environment-clients.ts";
import { startByHand } from "../support/node-by-hand.ts";
import { waitFor } from "../support/wait-for.ts";

const keyCount = 1000;
const endLimitMs = 20_000;

describe("a running environment", () => {
  let environment: Environment;
  let password: string;
  /** Content and mode of every file that the stack has placed, by path. */
  let files: ReadonlyMap<string, string>;

  before(async () => {
    environment = await Environment.start();
    password = (await environment.outputs()).passwords["alice"]!;
    files = placedFiles(environment.directory);
    await throughProxy(async (client) => {
      const pipeline = client.pipeline();
      for (let index = 0; index < keyCount; index++) pipeline.set(`key:${index}`, String(index));
      await pipeline.exec();
    });
  });
  after(() => environment.stop());

  const throughProxy = <T>(use: (client: Redis) => Promise<T>): Promise<T> => useProxy(environment, password, use);
  const members = (asked?: number): Promise<ReadonlyMap<number, MemberView>> => membersOf(environment, password, asked);

  async function kill(record: string): Promise<void> {
    process.kill(environment.processes().get(record)!.pid, "SIGKILL");
    await waitFor("the killed process is gone", endLimitMs, () => !environment.processes().has(record));
  }

  const directoryOf = (port: number): string => path.join(environment.directory, "nodes", String(port));
  const recordOf = (port: number): string => `nodes/${port}/redis-server.process`;
  const nodeName = (port: number): string => `dev-redis-127.0.0.1-${port}`;
  const formation = { operation: "update", resource: "dev-redis-formation" };

  /** Mends, and holds what was done against what had to be done: these changes, these processes started anew, all files as they were. */
  async function mend(expected: readonly ResourceChange[], restarted: readonly string[]): Promise<void> {
    const before = environment.processes();
    const changes = await environment.mend();
    assert.deepEqual(sorted(changes), sorted(expected));
    const now = environment.processes();
    assert.deepEqual([...now.keys()].filter((name) => before.get(name)?.startTime !== now.get(name)?.startTime).sort(), [...restarted].sort());
    assert.equal(now.size, 7);
    assert.deepEqual(placedFiles(environment.directory), files);
    assert.equal(await throughProxy((client) => client.dbsize()), keyCount);
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  }

  test("keeps nodes that its cluster lives on, though an update is told to replace them", async () => {
    const all = await members();
    const [master, owner] = [...all].find(([, { slots }]) => slots > 0)!;
    const [replica] = [...all].find(([, { masterId }]) => masterId === owner.id)!;
    const before = environment.processes();
    const processOf = (port: number): string => `${nodeName(port)}-process`;
    const runs = [
      {
        // The program is told what has become of these, and ends: of a deletion that fails the engine tells it nothing.
        options: ["--continue-on-error"],
        replaced: [processOf(master), `${nodeName(replica)}-directory`],
        refusals: [
          `127\\.0\\.0\\.1:${master} is neither stopped nor removed: it owns ${owner.slots} slots with \\d+ keys\\.`,
          `/nodes/${replica} is neither deleted nor made anew, because redis-server \\(pid ${before.get(recordOf(replica))!.pid}\\) works in it\\.`,
        ],
      },
      { options: [], replaced: [processOf(replica)], refusals: [`127\\.0\\.0\\.1:${replica} is neither stopped nor removed: it is the only replica of 127\\.0\\.0\\.1:${master}, which owns ${owner.slots} slots\\.`] },
    ];
    for (const { options, replaced, refusals } of runs) {
      const { status, stdout, stderr } = await environment.pulumi("up", "--yes", "--skip-preview", ...options, ...replaced.flatMap((name) => ["--replace", environment.urnOf(name)]));
      assert.ok(status !== null && status !== 0, "it came to an end, and failed");
      for (const refusal of refusals) assert.match(stdout + stderr, new RegExp(refusal));
    }
    assert.deepEqual(environment.processes(), before);
    assert.deepEqual((await members()).get(master)!.ranges, owner.ranges);
    await mend([], []);
  });

  test("gets back killed processes and files that were deleted, emptied, edited or opened to others", async () => {
    const [killed, bundle, acl, conf, key] = environment.nodePorts as [number, number, number, number, number];
    await kill(recordOf(killed));
    await kill("proxy/proxy.process");
    rmSync(path.join(directoryOf(bundle), "pem-bundle.cas"));
    truncateSync(path.join(directoryOf(acl), "users.acl"));
    appendFileSync(path.join(directoryOf(conf), "redis.conf"), "maxmemory 1mb\n");
    chmodSync(path.join(directoryOf(key), "server.key"), 0o644);
    const drift = await environment.pulumi("preview", "--refresh", "--expect-no-changes");
    assert.notEqual(drift.status, 0, "the drift is seen");
    const expected = [
      { operation: "create", resource: `${nodeName(bundle)}-pem-bundle.cas` },
      ...[`${nodeName(acl)}-users.acl`, `${nodeName(conf)}-redis.conf`, `${nodeName(key)}-server.key`, `${nodeName(killed)}-process`, "dev-proxy-process"].map(updated),
      // The node goes on, and is told to read its bundle anew: what it read from the missing one is not known.
      updated(`${nodeName(bundle)}-process`),
      formation,
    ];
    await mend(expected, [recordOf(killed), "proxy/proxy.process"]);
  });

  test("gets back a master's data directory and a replica's whole directory, deleted under them, without losing a key", async () => {
    const view = await members();
    const [masterPort, master] = [...view].find(([, { slots }]) => slots > 0)!;
    const [replicaPort] = [...view].find(([, { masterId }]) => masterId !== undefined && masterId !== master.id)!;
    rmSync(path.join(directoryOf(masterPort), "data"), { recursive: true });
    rmSync(directoryOf(replicaPort), { recursive: true });
    const lost = ["directory", "data", "server.crt", "server.key", "ca.crt", "pem-bundle.cas", "users.acl", "redis.conf"].map((part) => `${nodeName(replicaPort)}-${part}`);
    const expected = [
      ...[`${nodeName(masterPort)}-data`, ...lost].map((resource) => ({ operation: "create", resource })),
      ...[`${nodeName(masterPort)}-process`, `${nodeName(replicaPort)}-process`].map(updated),
      formation,
    ];
    await mend(expected, [recordOf(masterPort), recordOf(replicaPort)]);
    const now = await members();
    assert.deepEqual([...now.keys()].sort(), [...environment.nodePorts].sort(), "the former ids are forgotten");
    assert.equal([...now.values()].filter(({ slots }) => slots > 0).length, 3);
  });

  test("takes a node back that someone has started by hand, otherwise than declared", async () => {
    const [port] = [...(await members())].find(([, { masterId }]) => masterId !== undefined)!;
    await kill(recordOf(port));
    const byHand = await startByHand(environment, port, [path.join(directoryOf(port), "redis.conf"), "--maxmemory", "100mb"], () => members(port));
    try {
      await mend([updated(`${nodeName(port)}-process`), formation], [recordOf(port)]);
      assert.notEqual(byHand.end, undefined, "the one started by hand is stopped");
    } finally {
      await byHand.stop();
    }
  });

  test("leaves another program alone that has taken a node's port, and names it", async () => {
    const port = environment.nodePorts[5]!;
    await kill(recordOf(port));
    const other = createServer((socket) => socket.destroy());
    // The kernel frees the port of a killed process a moment after the process is seen to have ended.
    await waitFor("the killed node's port is free", endLimitMs, async () => {
      other.listen(port, "127.0.0.1");
      await once(other, "listening");
      return true;
    });
    try {
      assert.equal((other.address() as AddressInfo).port, port);
      const before = environment.processes();
      const { status, stdout } = await environment.pulumi("up", "--refresh", "--yes", "--skip-preview");
      assert.notEqual(status, 0);
      assert.match(stdout, new RegExp(`127\\.0\\.0\\.1:${port} is already taken by \\S.* \\(pid ${process.pid}\\); stop it, or choose another port`));
      assert.deepEqual(environment.processes(), before);
      // Whoever looks for drift is told of it as of any other.
      const drift = await environment.command("drift");
      assert.equal(drift.status, 7, drift.stderr);
      assert.match(drift.stdout, new RegExp(`node 127\\.0\\.0\\.1:${port}: redis-server: declared running; actual stopped; 127\\.0\\.0\\.1:${port} is held by node \\(pid ${process.pid}\\), which works in ${process.cwd()} \\(since .*\`up\` leaves it to you`));
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
    await mend([updated(`${nodeName(port)}-process`), formation], [recordOf(port)]);
  });
});

function updated(resource: string): ResourceChange {
  return { operation: "update", resource };
}

function sorted(changes: readonly ResourceChange[]): string[] {
  return changes.map(({ operation, resource }) => `${operation} ${resource}`).sort();
}

/** Mode and content's hash of the files that the stack has placed: not of what its programs write themselves. */
function placedFiles(directory: string): ReadonlyMap<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = entries.map((entry) => path.join(entry.parentPath, entry.name)).filter((name) => !/\/data\/(?!\.)|\.(log|process)$/.test(name));
  return new Map(names.sort().map((name) => [name, `${(lstatSync(name).mode & 0o777).toString(8)} ${createHash("sha256").update(readFileSync(name)).digest("hex")}`]));
}
