/** A cluster is brought to other nodes, and to another number of replicas, while clients write and read through the proxy. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";

import type { MemberView } from "../../components/formation-plan.ts";
import { slotCount } from "../../components/formation-plan.ts";
import type { Difference } from "../../toolchain/commands/lib/drift-report.ts";
import { Environment } from "../support/environment.ts";
import { askNode, membersOf, throughProxy } from "../support/environment-clients.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { waitFor } from "../support/wait-for.ts";
import { underLoad as runUnderLoad } from "./support/environment-load.ts";

const keyCount = 20_000;
const value = (index: number): string => `${index} `.repeat(20);
const limitMs = 30_000;

describe("a cluster that serves", () => {
  let environment: Environment;
  let passwords: Readonly<Record<string, string>>;
  let password: string;
  let further: readonly number[];

  before(async () => {
    environment = await Environment.start({}, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    passwords = (await environment.outputs()).passwords;
    password = passwords["alice"]!;
    further = await findFreePorts(3, 10_000);
    // A shard that is added on one host must not stay on it alone.
    environment.place(further.slice(0, 2), "127.0.0.4");
    environment.place(further.slice(2), "127.0.0.5");
    await throughProxy(environment, password, async (client) => {
      for (let start = 0; start < keyCount; start += 1000) {
        const pipeline = client.pipeline();
        for (let index = start; index < start + 1000; index++) pipeline.set(`key:${index}`, value(index));
        await pipeline.exec();
      }
    });
  });
  after(() => environment.stop());

  const at = (port: number): string => environment.nameOf(port);
  /** As `at`, in a regular expression. */
  const quoted = (port: number): string => at(port).replaceAll(".", "\\.");

  /** Declares the first six nodes and so many further ones. */
  function declare(count: number, replicasPerMaster = 1): void {
    environment.configure({ nodes: [...environment.nodePorts, ...further.slice(0, count)].map(at), replicasPerMaster });
  }

  const underLoad = (t: TestContext, name: string, change: () => Promise<unknown>): Promise<unknown> =>
    runUnderLoad(environment, { name, clients: 6, passwords: () => passwords, report: (line) => { t.diagnostic(line); } }, change);

  const shardsOf = (members: ReadonlyMap<number, MemberView>): { readonly port: number; readonly slots: number; readonly replicas: readonly number[] }[] =>
    [...members].filter(([, { slots }]) => slots > 0).map(([port, { id, slots }]) => ({ port, slots, replicas: [...members].filter(([, { masterId }]) => masterId === id).map(([replica]) => replica) }));

  /** The cluster has these nodes and no other, in shards of the same size; each key is there once; and nothing is left to do. */
  async function assertShape(nodes: number, masters: number): Promise<void> {
    const members = await membersOf(environment, password);
    assert.deepEqual([...members.keys()].sort(), [...environment.nodePorts, ...further.slice(0, nodes - 6)].sort());
    const shards = shardsOf(members);
    assert.equal(shards.length, masters);
    for (const { port, slots, replicas } of shards) {
      assert.ok(Math.abs(slots - slotCount / masters) < 1, `${slots} slots`);
      assert.equal(replicas.length, nodes / masters - 1);
      assert.equal(new Set([port, ...replicas].map((member) => environment.hostOf(member))).size, nodes / masters, `hosts of ${[port, ...replicas].map(at).join(", ")}`);
    }
    await throughProxy(environment, password, async (client) => {
      const keys = await client.keys("*");
      assert.equal(new Set(keys).size, keys.length);
      assert.equal(await client.dbsize(), keys.length);
      const found = await client.mget(Array.from({ length: keyCount }, (_, index) => `key:${index}`));
      assert.equal(found.findIndex((text, index) => text !== value(index)), -1);
    });
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  }

  test("gets a further shard, as the preview has said", async (t) => {
    declare(2);
    const [master, replica] = further as [number, number];
    const preview = await environment.succeed("preview");
    assert.match(preview, new RegExp(`add ${quoted(master)} as a master, with 127\\.0\\.0\\.[123]:\\d+ as its replica\\n`));
    assert.match(preview, new RegExp(`add ${quoted(replica)} as a replica of 127\\.0\\.0\\.[123]:\\d+\\n`));
    assert.match(preview, new RegExp(`move 4096 slots with about \\d+ keys: 1365 from 127\\.0\\.0\\.[123]:\\d+ to ${quoted(master)}, `));
    await underLoad(t, "6 to 8", () => environment.succeed("up", "--yes", "--skip-preview"));
    await assertShape(8, 4);
  });

  test("moves no slot to masters that have no room for it, and says so before", async () => {
    const large = "x".repeat(30 * 1024 * 1024);
    const owners = [...(await membersOf(environment, password))].filter(([, { slots }]) => slots > 0);
    const keys = new Map(await Promise.all(owners.map(async ([port, { ranges }]) => [port, await keyIn(port, ranges)] as const)));
    for (const [port, key] of keys) await askNode(environment, password, port, "SET", key, large);
    environment.configure({ redisParameters: { maxmemory: "40mb" } });
    const masters = environment.nodePorts.filter((port) => keys.has(port));
    // The preview knows of the limit once it is there.
    for (const command of [["up", "--yes", "--skip-preview"], ["preview"]]) {
      const { status, stdout, stderr } = await environment.pulumi(...command);
      assert.notEqual(status, 0);
      const holds = (port: number): string => `${quoted(port)} holds 3\\d\\.\\d MiB, would get about 1\\d\\.\\d MiB, and may hold 40\\.0 MiB`;
      for (const port of masters) assert.match(stdout + stderr, new RegExp(`there is no room for the slots that are to move: .*${holds(port)}.*Nothing was moved\\.`));
      assert.equal((await membersOf(environment, password)).get(further[0]!)!.slots, 4096);
    }
    for (const [port, key] of keys) await askNode(environment, password, port, "DEL", key);
  });

  /** A key whose slot is in these ranges. */
  async function keyIn(port: number, ranges: MemberView["ranges"]): Promise<string> {
    for (let index = 0; ; index++) {
      const slot = Number(await askNode(environment, password, port, "CLUSTER", "KEYSLOT", `large:${index}`));
      if (ranges.some(([from, until]) => from <= slot && slot <= until)) return `large:${index}`;
    }
  }

  /** What was begun is named as what it is; no member is foreign, no slot is where it should not be. */
  async function assertDriftAmidScaling(): Promise<void> {
    const { status, stdout } = await environment.command("drift", "--json");
    const { differences } = JSON.parse(stdout) as { differences: readonly Difference[] };
    assert.equal(status, 7);
    const inCluster = differences.filter(({ subject, mend }) => subject === "cluster" && mend !== "apply");
    assert.deepEqual(inCluster.map(({ thing, declared, mend }) => [thing, declared, mend]), [["scaling", "finished", "scale"]], JSON.stringify(inCluster));
    assert.match(inCluster[0]!.actual, new RegExp(`^begun and cut off; left to do: from 4 masters to 3: .*move \\d+ slots with about \\d+ keys: .*take ${quoted(further[0]!)} and ${quoted(further[1]!)} out of the cluster$`));
    // Rights that were taken to hand keys over, and not given back: a drift of its own, which is told as such.
    const inNodes = differences.filter(({ subject, mend }) => subject.startsWith("node") && mend !== "apply");
    assert.deepEqual(inNodes.filter(({ thing }) => thing !== "user provisioner"), []);
  }

  test("loses a shard again, though the update is killed while slots move", async (t) => {
    declare(0);
    await underLoad(t, "8 to 6", async () => {
      const leaving = further[0]!;
      await environment.interrupt("slots move", () => ownedBy(environment, leaving) < 3000, "all", "up", "--yes", "--skip-preview");
      const members = await membersOf(environment, password);
      assert.ok(members.get(leaving)!.slots > 0);
      for (const port of further.slice(0, 2)) assert.ok(environment.processes().has(`nodes/${port}/redis-server.process`));
      await environment.succeed("cancel", "--yes");
      await assertDriftAmidScaling();
      const preview = await environment.succeed("preview");
      assert.match(preview, new RegExp(`take ${quoted(leaving)} and ${quoted(further[1]!)} out of the cluster`));
      await environment.succeed("up", "--yes", "--skip-preview");
    });
    for (const port of further.slice(0, 2)) assert.ok(!existsSync(path.join(environment.directory, `nodes/${port}`)));
    await assertShape(6, 3);
  });

  test("gets a second replica for each master", async (t) => {
    declare(3, 2);
    await underLoad(t, "1 to 2 replicas", () => environment.succeed("up", "--yes", "--skip-preview"));
    await assertShape(9, 3);
  });

  test("loses the second replicas, of which one is a master now, without a slot moved", async (t) => {
    const before = shardsOf(await membersOf(environment, password)).map(({ slots }) => slots);
    const port = further[0]!;
    await askNode(environment, password, port, "CLUSTER", "FAILOVER");
    await waitFor("the further replica is a master", limitMs, async () => (await membersOf(environment, password)).get(port)!.slots > 0);
    declare(0);
    assert.match(await environment.succeed("preview"), new RegExp(`127\\.0\\.0\\.\\d:\\d+ takes over from ${quoted(port)}, which leaves`));
    await underLoad(t, "2 replicas to 1", () => environment.succeed("up", "--yes", "--skip-preview"));
    assert.deepEqual(shardsOf(await membersOf(environment, password)).map(({ slots }) => slots).sort(), before.sort());
    await assertShape(6, 3);
  });
});

/** How many slots a node itself has written down as its own. */
function ownedBy(environment: Environment, port: number): number {
  const own = readFileSync(path.join(environment.directory, `nodes/${port}/data/nodes.conf`), "utf8").split("\n").find((line) => line.includes("myself")) ?? "";
  const ranges = own.split(" ").slice(8).filter((range) => /^\d/.test(range)).map((range) => range.split("-").map(Number));
  return ranges.reduce((sum, [from, to = from]) => sum + to! - from! + 1, 0);
}
