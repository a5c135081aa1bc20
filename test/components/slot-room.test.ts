import assert from "node:assert/strict";
import { test } from "node:test";
import { parseInfo } from "../../components/cluster-nodes.ts";
import type { NodeView } from "../../components/formation-plan.ts";
import { outlineScale } from "../../components/scale-plan.ts";
import type { ScaleOutline } from "../../components/scale-plan.ts";
import { describeLackOfRoom, readMemory } from "../../components/slot-room.ts";
import type { NodeMemory } from "../../components/slot-room.ts";
import { addressOf, SimulatedCluster } from "./support/simulated-cluster.ts";

const mebibyte = 1024 * 1024;

/** Four masters, of which the last is to give its slots to the others. */
function drain(): { readonly outline: ScaleOutline; readonly views: readonly NodeView[] } {
  const cluster = new SimulatedCluster(4, 1, (bound) => bound - 1);
  const views = cluster.look();
  const outline = outlineScale(views, { nodes: [0, 1, 2, 4, 5, 6].map(addressOf), masters: 3, replicasPerMaster: 1, leaving: [3, 7].map(addressOf), layout: cluster.layout() });
  assert.ok(!("kind" in outline));
  return { outline, views };
}

function lack(memory: Partial<NodeMemory>, but: (index: number) => Partial<NodeMemory> = () => ({})): string | undefined {
  const { outline, views } = drain();
  const memories = views.map((view, index) => [view.id, { used: 79.9 * mebibyte, dataset: 60 * mebibyte, limit: 100 * mebibyte, policy: "noeviction", ...memory, ...but(index) }] as const);
  return describeLackOfRoom(outline, new Map(memories));
}

test("each master that gets slots must have room for its part of the keys that come with them", () => {
  assert.equal(lack({}), undefined, "79.9 and a third of 60 make less than 100");
  assert.equal(
    lack({}, (index) => (index === 1 ? { used: 80.5 * mebibyte } : {})),
    "there is no room for the slots that are to move: 127.0.0.1:7002 holds 80.5 MiB, would get about 20.0 MiB, and may hold 100.0 MiB (maxmemory, with noeviction). Nothing was moved. Raise maxmemory, let keys go, or declare more masters",
  );
});

test("without a limit, with an eviction policy, or where nothing moves there is room", () => {
  assert.equal(lack({ used: 99 * mebibyte, limit: 0 }), undefined);
  assert.equal(lack({ used: 99 * mebibyte, policy: "allkeys-lru" }), undefined);
  const { outline, views } = drain();
  const full = new Map(views.map(({ id }) => [id, { used: 100, dataset: 90, limit: 100, policy: "noeviction" }]));
  assert.equal(describeLackOfRoom({ ...outline, moves: [] }, full), undefined);
  assert.match(String(describeLackOfRoom(outline, full)), /7001 .*7002 .*7003 /);
});

test("a replica that becomes a master of its own is counted without what it gives up", () => {
  const { outline, views } = drain();
  const to = outline.moves[0]!.to;
  const full = new Map(views.map(({ id }) => [id, { used: 110, dataset: 90, limit: id === to.id ? 100 : 0, policy: "noeviction" }]));
  assert.notEqual(describeLackOfRoom(outline, full), undefined);
  assert.equal(describeLackOfRoom({ ...outline, release: [to] }, full), undefined);
});

test("the memory is read from what Redis says of it", () => {
  const info = parseInfo("# Memory\r\nused_memory:1000\r\nused_memory_dataset:600\r\nmaxmemory:2000\r\nmaxmemory_policy:noeviction\r\n");
  assert.deepEqual(readMemory(info), { used: 1000, dataset: 600, limit: 2000, policy: "noeviction" });
});
