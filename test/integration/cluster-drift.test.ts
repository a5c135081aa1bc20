/** Each kind of drift of the cluster is injected for real into one running environment, named, and mended by an update that touches nothing else. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import type { Child } from "../support/child.ts";
import { waitFor } from "../support/wait-for.ts";
import { DriftRounds, formation, keyCount, limitMs, live, node, processOf, record } from "./support/drift-round.ts";
import type { DriftingEnvironment } from "./support/drifting-environment.ts";
import type { Shard } from "./support/drifting-environment.ts";

/** Two nodes on each. */
const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

describe("drift of the cluster", () => {
  let rounds: DriftRounds;
  let drifting: DriftingEnvironment;
  let ports: readonly [number, number, number, number, number, number];

  before(async () => {
    rounds = await DriftRounds.start(hosts);
    drifting = rounds.drifting;
    ports = drifting.environment.nodePorts as unknown as typeof ports;
  });
  after(() => rounds.stop());

  const at = (port: number): string => drifting.environment.nameOf(port);

  /** Hosts of each shard's nodes. */
  async function hostsOfShards(): Promise<string[][]> {
    return (await drifting.shards()).map(({ master, replicas }) => [master, ...replicas].map((port) => drifting.environment.hostOf(port)));
  }

  test("of slots is named by slot, and put right with their keys, beside a replica turned to another master", async () => {
    const keys = async (): Promise<number> => (await Promise.all((await drifting.shards()).map(async ({ master }) => Number((await drifting.tell(master, ["DBSIZE"]))[0])))).reduce((sum, count) => sum + count, 0);
    const before = await keys();
    assert.ok(before > keyCount / 2);
    const [first, second, third] = (await drifting.shards()) as unknown as [Shard, Shard, Shard];
    const moved = Array.from({ length: 40 }, (_, index) => first.firstSlot + index);
    const turned = first.replicas[0]!;
    await rounds.mend([
      {
        name: "a replica turned to another master",
        inject: () => drifting.turn(turned, second.master),
        found: [[`cluster: master ${at(first.master)}`, "cluster", /^none$/], [`cluster: master ${at(second.master)}`, "cluster", /^2: /]],
        mended: [formation],
      },
      { name: "slots moved", inject: () => drifting.moveSlots(moved, first.master, second.master), found: [["cluster: slots 0-39", "slots", new RegExp(`with ${at(second.master)}$`)]], mended: [formation] },
      { name: "a slot left on the move", inject: () => drifting.moveSlots([third.firstSlot + 7], third.master, second.master, true), found: [[`cluster: slots ${third.firstSlot + 7}`, "slots", /left on the move/]], mended: [formation] },
    ]);
    const uncovered = String(first.firstSlot + 3);
    const states = ports.filter((port) => [first, second, third].some(({ master }) => master === port));
    await rounds.mend([
      {
        name: "a slot uncovered",
        inject: async () => {
          for (const port of states) await drifting.tell(port, ["CLUSTER", "DELSLOTS", uncovered]);
          await waitFor("all masters know", limitMs, async () => (await Promise.all(states.map((port) => drifting.tell(port, ["CLUSTER", "INFO"])))).every(([text]) => String(text).includes("cluster_state:fail")));
        },
        found: [["cluster: slots", "cluster", new RegExp(`^${uncovered} with none$`)], ...states.map((port) => [`cluster: member ${at(port)}`, "cluster", /cluster_state:fail/] as const)],
        mended: [formation],
      },
    ]);
    assert.equal(await keys(), before);
  });

  test("of members is named by member: forgotten, met in", async () => {
    const shards = (await drifting.shards()) as unknown as [Shard, Shard, Shard];
    const forgotten = shards[2].replicas[0]!;
    // Of the three shards in a ring over the hosts, the first two have a replica each that belongs on the host of one of them.
    const [one, other] = shards;
    assert.deepEqual((await hostsOfShards()).map((pair) => new Set(pair).size), [2, 2, 2], "they were made on hosts apart");
    const crowded = [[one, other], [other, one]].flatMap(([shard, from]) => from!.replicas.filter((replica) => drifting.environment.hostOf(replica) === drifting.environment.hostOf(shard!.master)).map((replica) => ({ replica, master: shard!.master })));
    assert.ok(crowded.length > 0);
    const others = ports.filter((port) => port !== forgotten);
    const members = await drifting.members();
    const foreign = await drifting.foreignNode(ports[0]);
    let second: Child | undefined;
    try {
      await rounds.mend([
        { name: "a node forgotten", inject: async () => { for (const port of others) await drifting.tell(port, ["CLUSTER", "FORGET", members.get(forgotten)!.id]); }, found: [[`cluster: member ${at(forgotten)}`, "cluster", /^unknown to 127/]], mended: [formation] },
        {
          name: "a foreign node met in",
          inject: async () => {
            await drifting.tell(ports[0], ["CLUSTER", "MEET", "127.0.0.1", String(foreign.port)]);
            await waitFor("all know it", limitMs, async () => (await Promise.all(others.map((port) => drifting.members(port)))).every((known) => known.get(foreign.port)?.handshaking === false));
          },
          // It was started in the environment's own directory, where it goes on once it is sent away.
          found: [[`cluster: foreign member 127.0.0.1:${foreign.port}`, "cluster", /^a master without slots$/], ["stack: undeclared program", "leave", new RegExp(`^redis-server \\(pid \\d+\\) works in ${drifting.environment.directory} and listens on port ${foreign.port}, `)]],
          mended: [formation, "update dev"],
        },
        {
          name: "replicas on their masters' hosts",
          inject: async () => {
            await drifting.turn(one.replicas[0]!, other.master);
            await drifting.turn(other.replicas[0]!, one.master);
          },
          found: crowded.map(({ replica, master }) => [`cluster: replica ${at(replica)}`, "cluster", new RegExp(`^on the same one, ${drifting.environment.hostOf(master)}$`)]),
          mended: [formation],
        },
        {
          name: "a second proxy with the same files",
          inject: async () => {
            second = await drifting.secondProxy();
          },
          found: [[`proxy 127.0.0.1:${drifting.environment.proxyPort}: undeclared program`, "leave", /^node \(pid \d+\) works in .*\/proxy and listens on port \d+, \d+$/]],
          mended: ["update dev-proxy-process"],
        },
      ]);
      assert.deepEqual((await hostsOfShards()).map((pair) => new Set(pair).size), [2, 2, 2]);
      assert.deepEqual([second?.end, await drifting.tell(foreign.port, ["PING"])], [undefined, ["PONG"]], "what is not declared is left alone");
    } finally {
      await second?.stop();
      await foreign.end();
    }
  });

  test("of a member that announces another address, of one that is in no cluster, of one that answers nobody, of one that takes no writes", async () => {
    // A node that was met in again is a master to the others until they have heard more of it.
    const shards = await waitFor("all replicas are known as such", limitMs, async () => {
      const all = await drifting.shards();
      return all.every(({ replicas }) => replicas.length > 0) && all;
    });
    const [misnamed, reset, paused] = shards.map(({ replicas }) => replicas[0]!) as [number, number, number];
    const hostOf = (port: number): string => drifting.environment.hostOf(port);
    await rounds.mend([
      live(drifting, shards[0]!.master, "the writes of clients paused", "writes of clients", ["CLIENT", "PAUSE", "600000", "WRITE"], /^held back/),
      {
        name: "a node that announces another address",
        inject: async () => {
          await drifting.tell(misnamed, ["CONFIG", "SET", "cluster-announce-ip", "127.0.0.9"]);
          await waitFor("all know the other address", limitMs, async () => (await Promise.all(ports.filter((port) => port !== misnamed).map((port) => drifting.tell(port, ["CLUSTER", "NODES"])))).every(([text]) => String(text).includes(` 127.0.0.9:${misnamed}@`)));
        },
        found: [[node(misnamed, "parameter cluster-announce-ip", hostOf(misnamed)), "live", /^127\.0\.0\.9$/], [`cluster: member ${at(misnamed)}`, "cluster", new RegExp(`^known as 127\\.0\\.0\\.9:${misnamed}$`)]],
        mended: [processOf(misnamed, hostOf(misnamed)), formation],
      },
      {
        name: "a replica reset",
        inject: async () => { await drifting.tell(reset, ["CLUSTER", "RESET", "SOFT"]); },
        // That its master has no replica is not said while another node does not answer.
        found: [[`cluster: member ${at(reset)}`, "cluster", /^in no cluster$/]],
        mended: [formation],
      },
      {
        name: "all clients of a node paused",
        inject: async () => { await drifting.tell(paused, ["CLIENT", "PAUSE", "600000", "ALL"]); },
        found: [[node(paused, "answers", hostOf(paused)), "restart", /CLIENT PAUSE/], [`cluster: member ${at(paused)}`, "cluster", /Command timed out/]],
        mended: [processOf(paused, hostOf(paused)), formation],
        restarted: [record(paused)],
      },
    ]);
  });

  test("of replicas that share hosts is put right, too, where the update is killed while they change places", async () => {
    const [one, other] = (await drifting.shards()) as unknown as [Shard, Shard, Shard];
    await drifting.turn(one.replicas[0]!, other.master);
    await drifting.turn(other.replicas[0]!, one.master);
    /** Whether replicas are held in their places, as from before the first of the two copies to behind the second. */
    const held = async (): Promise<boolean> => (await Promise.all(ports.map((port) => drifting.tell(port, ["CONFIG", "GET", "cluster-migration-barrier"])))).some(([reply]) => JSON.stringify(reply).includes('"1000"'));
    await waitFor("all know their new places", limitMs, async () => (await hostsOfShards()).some((pair) => pair.length === 2 && new Set(pair).size === 1));
    const watch = { begun: false, over: false };
    const watching = (async () => {
      while (!watch.over) {
        watch.begun ||= await held();
        await pause(5);
      }
    })();
    try {
      await drifting.environment.interrupt("replicas are held in their places", () => watch.begun, "all", "up", "--refresh", "--yes", "--skip-preview");
    } finally {
      watch.over = true;
      await watching;
    }
    assert.ok(await held(), "it was killed in the middle of it");
    await drifting.environment.succeed("cancel", "--yes");
    await drifting.environment.mend();
    assert.deepEqual((await drifting.shards()).map(({ replicas }) => replicas.length), [1, 1, 1]);
    assert.deepEqual((await hostsOfShards()).map((pair) => new Set(pair).size), [2, 2, 2]);
  });

  test("is gone in the end", () => rounds.end());
});
