/** Each kind of drift of the cluster is injected for real into one running environment, named, and mended by an update that touches nothing else. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import type { Child } from "../support/child.ts";
import { waitFor } from "../support/wait-for.ts";
import { DriftRounds, formation, keyCount, limitMs, live, node, processOf, record } from "./support/drift-round.ts";
import type { DriftingEnvironment } from "./support/drifting-environment.ts";
import type { Shard } from "./support/drifting-environment.ts";

describe("drift of the cluster", () => {
  let rounds: DriftRounds;
  let drifting: DriftingEnvironment;
  let ports: readonly [number, number, number, number, number, number];

  before(async () => {
    rounds = await DriftRounds.start();
    drifting = rounds.drifting;
    ports = drifting.environment.nodePorts as unknown as typeof ports;
  });
  after(() => rounds.stop());

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
        inject: async () => {
          await drifting.tell(turned, ["CLUSTER", "REPLICATE", (await drifting.members()).get(second.master)!.id]);
          // While it copies, that is seen too.
          await waitFor("it has copied its master", limitMs, async () => String((await drifting.tell(turned, ["INFO", "replication"]))[0]).includes("master_link_status:up"));
        },
        found: [[`cluster: master 127.0.0.1:${first.master}`, "cluster", /^none$/], [`cluster: master 127.0.0.1:${second.master}`, "cluster", /^2: /]],
        mended: [formation],
      },
      { name: "slots moved", inject: () => drifting.moveSlots(moved, first.master, second.master), found: [["cluster: slots 0-39", "slots", new RegExp(`127\\.0\\.0\\.1:${second.master}$`)]], mended: [formation] },
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
        found: [["cluster: slots", "cluster", new RegExp(`^${uncovered} with none$`)], ...states.map((port) => [`cluster: member 127.0.0.1:${port}`, "cluster", /cluster_state:fail/] as const)],
        mended: [formation],
      },
    ]);
    assert.equal(await keys(), before);
  });

  test("of members is named by member: forgotten, met in", async () => {
    const shards = await drifting.shards();
    const forgotten = shards[2]!.replicas[0]!;
    const others = ports.filter((port) => port !== forgotten);
    const members = await drifting.members();
    const foreign = await drifting.foreignNode(ports[0]);
    let second: Child | undefined;
    try {
      await rounds.mend([
        { name: "a node forgotten", inject: async () => { for (const port of others) await drifting.tell(port, ["CLUSTER", "FORGET", members.get(forgotten)!.id]); }, found: [[`cluster: member 127.0.0.1:${forgotten}`, "cluster", /^unknown to 127/]], mended: [formation] },
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
          name: "a second proxy with the same files",
          inject: async () => {
            second = await drifting.secondProxy();
          },
          found: [[`proxy 127.0.0.1:${drifting.environment.proxyPort}: undeclared program`, "leave", /^node \(pid \d+\) works in .*\/proxy and listens on port \d+, \d+$/]],
          mended: ["update dev-proxy-process"],
        },
      ]);
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
    await rounds.mend([
      live(drifting, shards[0]!.master, "the writes of clients paused", "writes of clients", ["CLIENT", "PAUSE", "600000", "WRITE"], /^held back/),
      {
        name: "a node that announces another address",
        inject: async () => {
          await drifting.tell(misnamed, ["CONFIG", "SET", "cluster-announce-ip", "127.0.0.9"]);
          await waitFor("all know the other address", limitMs, async () => (await Promise.all(ports.filter((port) => port !== misnamed).map((port) => drifting.tell(port, ["CLUSTER", "NODES"])))).every(([text]) => String(text).includes(` 127.0.0.9:${misnamed}@`)));
        },
        found: [[node(misnamed, "parameter cluster-announce-ip"), "live", /^127\.0\.0\.9$/], [`cluster: member 127.0.0.1:${misnamed}`, "cluster", new RegExp(`^known as 127\\.0\\.0\\.9:${misnamed}$`)]],
        mended: [processOf(misnamed), formation],
      },
      {
        name: "a replica reset",
        inject: async () => { await drifting.tell(reset, ["CLUSTER", "RESET", "SOFT"]); },
        // That its master has no replica is not said while another node does not answer.
        found: [[`cluster: member 127.0.0.1:${reset}`, "cluster", /^in no cluster$/]],
        mended: [formation],
      },
      {
        name: "all clients of a node paused",
        inject: async () => { await drifting.tell(paused, ["CLIENT", "PAUSE", "600000", "ALL"]); },
        found: [[node(paused, "answers"), "restart", /CLIENT PAUSE/], [`cluster: member 127.0.0.1:${paused}`, "cluster", /Command timed out/]],
        mended: [processOf(paused), formation],
        restarted: [record(paused)],
      },
    ]);
  });

  test("is gone in the end", () => rounds.end());
});
