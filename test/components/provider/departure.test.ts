import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberView, NodeView } from "../../../components/formation-plan.ts";
import { describeDependence } from "../../../components/provider/departure.ts";

/** Members 0 to 2 are masters, 3 to 5 their replicas. */
function member(index: number, change: Partial<MemberView> = {}): MemberView {
  const masterId = index < 3 ? undefined : `id${index - 3}`;
  return { id: `id${index}`, address: `127.0.0.1:${7001 + index}`, isMaster: masterId === undefined, masterId, failed: false, handshaking: false, slots: masterId === undefined ? 5461 : 0, ranges: [], open: [], ...change };
}

function views(living: readonly number[], members: readonly MemberView[], change: Partial<NodeView> = {}): NodeView[] {
  return living.map((index) => ({ node: { host: "127.0.0.1", port: 7001 + index }, id: `id${index}`, keys: 12, clusterOk: true, inSync: true, members, ...change }));
}

const all = [0, 1, 2, 3, 4, 5].map((index) => member(index));
/** Of one node, and of the others that live. */
function dependence(index: number, living: readonly number[], members = all, written?: MemberView): string | undefined {
  const [own] = living.includes(index) ? views([index], members) : [];
  return describeDependence({ host: "127.0.0.1", port: 7001 + index }, own, views(living.filter((other) => other !== index), members), written);
}
const everybody = [0, 1, 2, 3, 4, 5];

test("who owns slots stays, whether it answers or not", () => {
  assert.equal(dependence(0, everybody), "it owns 5461 slots with 12 keys");
  assert.equal(dependence(0, [1, 2, 3, 4, 5]), "it does not answer, and nobody has taken over the 5461 slots that it owns");
  const takenOver = all.map((view) => (view.id === "id0" ? member(0, { slots: 0 }) : view.id === "id3" ? member(3, { masterId: undefined, isMaster: true, slots: 5461 }) : view));
  assert.equal(dependence(0, [1, 2, 3, 4, 5], takenOver), undefined);
});

test("the only replica of a master that owns slots stays, and one of several may go", () => {
  assert.equal(dependence(3, everybody), "it is the only replica of 127.0.0.1:7001, which owns 5461 slots");
  assert.equal(dependence(3, [1, 2, 3, 4, 5]), "it is the only replica of a master that does not answer and owns 5461 slots");
  assert.equal(dependence(3, [1, 2, 4, 5]), "it is the only replica of a master that does not answer and owns 5461 slots");
  assert.equal(dependence(3, [0, 1, 2, 4, 5]), undefined, "it does not answer, and its master has all that it had");
  assert.equal(dependence(3, everybody, all.map((view) => (view.id === "id4" ? member(4, { masterId: "id0" }) : view))), undefined);
  assert.equal(dependence(3, everybody, all.map((view) => (view.id === "id0" ? member(0, { slots: 0 }) : view))), undefined, "its master has been emptied");
});

test("who has been emptied, taken out of the cluster or forgotten may go", () => {
  assert.equal(dependence(0, everybody, all.map((view) => (view.id === "id0" ? member(0, { slots: 0 }) : view))), undefined);
  assert.equal(describeDependence({ host: "127.0.0.1", port: 7001 }, views([0], [member(0, { slots: 0 })])[0], views([1, 2], all.slice(1)), undefined), undefined);
  assert.equal(dependence(0, [1, 2], all.slice(1)), undefined);
});

test("where nobody answers, what the node has written down of itself counts", () => {
  assert.equal(dependence(0, [], all, member(0)), "no node of its cluster answers, and its data may be the only copy: it last was the owner of 5461 slots");
  assert.equal(dependence(3, [], all, member(3)), "no node of its cluster answers, and its data may be the only copy: it last was a replica");
  assert.equal(dependence(0, [], all, member(0, { slots: 0 })), undefined);
  assert.equal(dependence(0, []), undefined);
});
