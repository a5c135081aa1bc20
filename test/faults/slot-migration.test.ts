import assert from "node:assert/strict";
import { test } from "node:test";
import { slotOf } from "../../proxy/routing/slot.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { slotRanges } from "../support/keys.ts";
import { waitFor } from "../support/wait-for.ts";
import { checkHistory } from "./support/check-history.ts";
import { Load } from "./support/load.ts";
import { call, failOver, moveInHalves, reshard } from "./support/moves.ts";
import { sized } from "../support/soak.ts";

const fixtures = clusterBehindProxy({ nodes: 6, replicasPerMaster: 1, nodeTimeoutMs: 5000 });
const slotsOfEach = sized(120, 5_461);
const moveLimitMs = sized(120_000, 3_600_000);

test(`slots move from master to master (${slotsOfEach} of each) while 8 clients write and read: no error, nothing lost, nothing twice`, async (t) => {
  const { cluster, proxy } = fixtures;
  const ranges = await slotRanges(cluster);
  // redis-cli moves a master's first slots first: in the short form all keys lie in those.
  const inSlot = (slot: number): boolean => ranges.some(({ first }) => first <= slot && slot < first + slotsOfEach);
  const load = new Load(proxy, { clients: 8, name: "moving", inSlot });
  const masters = await cluster.masters();
  for (const [i, master] of masters.entries()) await reshard(cluster, master, masters[(i + 1) % masters.length]!, slotsOfEach, moveLimitMs);
  const findings = await checkHistory(load.history, await load.stop(), cluster);
  t.diagnostic(`${3 * slotsOfEach} slots moved; ${load.history.answered} commands, longest pause ${load.history.longestPauseMs.toFixed(0)} ms`);
  assert.deepEqual(load.history.errors, []);
  assert.deepEqual(findings, { faults: [], lost: 0 });
  assert.ok(load.history.answered > 1_000);
});

test("slots stay half moved for a while, keys of one command on either side: no error, nothing lost, each client's order kept", async (t) => {
  const { cluster, proxy } = fixtures;
  const tags = Array.from({ length: sized(6, 60) }, (_, i) => `half:${i}`);
  const slots = tags.map((tag) => slotOf(Buffer.from(tag), 0, tag.length));
  const load = new Load(proxy, { clients: 8, depth: 40, pauseMs: 1, name: "halves", inSlot: (slot) => slots.includes(slot) });
  for (const slot of slots) {
    const range = (await slotRanges(cluster)).find(({ first, last }) => first <= slot && slot <= last)!;
    const from = cluster.nodes.find(({ port }) => port === range.port)!;
    const to = (await cluster.masters()).find((node) => node !== from)!;
    await waitFor(`there are keys in slot ${slot}`, 10_000, async () => Number(await call(cluster, from, "CLUSTER", "COUNTKEYSINSLOT", String(slot))) >= 8);
    await moveInHalves(cluster, slot, from, to, 400);
  }
  const findings = await checkHistory(load.history, await load.stop(), cluster);
  t.diagnostic(`${slots.length} slots moved in halves; ${load.history.answered} commands, longest pause ${load.history.longestPauseMs.toFixed(0)} ms`);
  assert.deepEqual(load.history.errors, []);
  assert.deepEqual(findings, { faults: [], lost: 0 });
});

test("each shard's replica takes over by CLUSTER FAILOVER while 8 clients write and read: no error, nothing lost, nothing twice", async (t) => {
  const { cluster, proxy } = fixtures;
  const load = new Load(proxy, { clients: 8, name: "failing-over" });
  for (const master of await cluster.masters()) {
    await failOver(cluster, master, 30_000);
    await cluster.settled();
  }
  const findings = await checkHistory(load.history, await load.stop(), cluster);
  t.diagnostic(`${load.history.answered} commands, longest pause ${load.history.longestPauseMs.toFixed(0)} ms`);
  assert.deepEqual(load.history.errors, []);
  assert.deepEqual(findings, { faults: [], lost: 0 });
});
