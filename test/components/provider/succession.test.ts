import assert from "node:assert/strict";
import { test } from "node:test";

import type { MemberView, NodeView } from "../../../components/formation-plan.ts";
import { describeStanding } from "../../../components/provider/succession.ts";

const masters = 3;

function port(index: number): number {
  return 7001 + index;
}

/** Members 0 to 2 are masters, 3 to 5 their replicas. */
function member(index: number, change: Partial<MemberView> = {}): MemberView {
  const master = index < masters ? undefined : `id${index - masters}`;
  return { id: `id${index}`, address: `127.0.0.1:${port(index)}`, isMaster: master === undefined, masterId: master, failed: false, handshaking: false, slots: master === undefined ? 5461 : 0, ranges: [], open: [], ...change };
}

const all = [0, 1, 2, 3, 4, 5].map((index) => member(index));
const node = { host: "127.0.0.1", port: port(0) };

function views(living: readonly number[], members: readonly MemberView[] = all): NodeView[] {
  return living.map((index) => ({ node: { host: "127.0.0.1", port: port(index) }, id: `id${index}`, keys: 0, clusterOk: true, inSync: true, members }));
}

test("a node that nobody holds for the owner of slots has no successor to wait for", () => {
  assert.deepEqual(describeStanding(node, []), { problem: undefined, final: true });
  const takenOver = all.map((view) => (view.id === "id0" ? { ...view, slots: 0, failed: true } : view.id === "id3" ? member(3, { isMaster: true, masterId: undefined, slots: 5461 }) : view));
  assert.deepEqual(describeStanding(node, views([1, 2, 3, 4, 5], takenOver)), { problem: undefined, final: true });
  assert.deepEqual(describeStanding({ ...node, port: port(4) }, views([0, 1, 2, 3, 5])), { problem: undefined, final: true });
});

test("a former master's replica is waited for while the other masters can choose it", () => {
  assert.deepEqual(describeStanding(node, views([1, 2, 3])), { problem: "it owns slots, and none of its replicas has taken over: 127.0.0.1:7004", final: false });
});

test("as long as one peer has not heard of the successor, it is waited for", () => {
  const takenOver = all.map((view) => (view.id === "id0" ? { ...view, slots: 0 } : view.id === "id3" ? member(3, { isMaster: true, masterId: undefined, slots: 5461 }) : view));
  const [unaware, ...others] = views([1, 2, 3, 4, 5], takenOver);
  const standing = describeStanding(node, [{ ...unaware!, members: all }, ...others]);
  assert.deepEqual(standing, { problem: "it owns slots for some of the nodes, and for others a successor does", final: false });
});

test("waiting is in vain without a replica, or without most of the masters", () => {
  assert.deepEqual(describeStanding(node, views([1, 2, 4, 5])), { problem: "it owns slots, and no replica of it is there", final: true });
  // After a reboot of all, the first nodes to start must not wait for each other.
  assert.deepEqual(describeStanding(node, views([2, 3])), { problem: "it owns slots, and too few masters are there to choose a successor", final: true });
});
