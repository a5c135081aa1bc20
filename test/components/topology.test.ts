import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MemberView, NodeView } from "../../components/formation-plan.ts";
import { listSlots, writeSlots } from "../../components/slot-ranges.ts";
import type { SlotRange } from "../../components/slot-ranges.ts";
import { compareTopology, layoutOf } from "../../components/topology.ts";

const layout = ["0-5460", "5461-10922", "10923-16383"];
const declared = { replicasPerMaster: 1, layout };
const even: Readonly<Record<number, readonly SlotRange[]>> = { 0: [[0, 5460]], 1: [[5461, 10922]], 2: [[10923, 16383]] };

function id(index: number): string {
  return String(index).repeat(40);
}

function member(index: number, change: Partial<MemberView> = {}): MemberView {
  const ranges = change.ranges ?? even[index] ?? [];
  const base = { id: id(index), address: `127.0.0.1:${7001 + index}`, isMaster: index < 3, masterId: index < 3 ? undefined : id(index - 3), failed: false, handshaking: false, open: [] };
  return { ...base, ...change, ranges, slots: ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0) };
}

function views(members: readonly MemberView[], change: (index: number) => Partial<NodeView> = () => ({})): NodeView[] {
  return [0, 1, 2, 3, 4, 5].map((index) => ({ node: { host: "127.0.0.1", port: 7001 + index }, id: id(index), keys: 1, clusterOk: true, inSync: true, members, ...change(index) }));
}

const all = [0, 1, 2, 3, 4, 5].map((index) => member(index));
const found = (seen: readonly NodeView[], silent: ReadonlyMap<string, string> = new Map()): string[] => compareTopology(seen, silent, declared).findings.map(({ thing, actual }) => `${thing}: ${actual}`);

test("a cluster as it was formed has no drift, whoever is master now", () => {
  assert.deepEqual(compareTopology(views(all), new Map(), declared), { findings: [], lasting: false, steps: [] });
  assert.deepEqual(layoutOf(views(all)), layout);
  const failedOver = all.map((view, index) => (index === 0 ? member(0, { isMaster: false, masterId: id(3), ranges: [] }) : index === 3 ? member(3, { isMaster: true, masterId: undefined, ranges: even[0]! }) : view));
  assert.deepEqual(found(views(failedOver)), []);
  assert.deepEqual(layoutOf(views(failedOver)), layout);
});

test("slots that have left their shard are told, and go back to whoever owns most of it", () => {
  const moved = all.map((view, index) => (index === 0 ? member(0, { ranges: [[0, 9], [13, 5460]] }) : index === 1 ? member(1, { ranges: [[10, 12], [5461, 10922]] }) : view));
  const { findings, steps, lasting } = compareTopology(views(moved), new Map(), declared);
  assert.deepEqual(findings, [{ thing: "slots 10-12", declared: "one shard with 0-5460", actual: "with 127.0.0.1:7002", mend: "slots" }]);
  assert.deepEqual(steps.map((step) => step.kind === "move" && [step.slot, step.to.id]), [10, 11, 12].map((slot) => [slot, id(0)]));
  assert.ok(lasting);
});

test("two shards that have traded slots, one for one, are seen too", () => {
  const traded = all.map((view, index) => (index === 0 ? member(0, { ranges: [[1, 5461]] }) : index === 1 ? member(1, { ranges: [[0, 0], [5462, 10922]] }) : view));
  assert.deepEqual(found(views(traded)), ["slots 0: with 127.0.0.1:7002", "slots 5461: with 127.0.0.1:7001"]);
});

test("slots that have left their shard are told though most of it has gone, or another shard's master has more of it than its own", () => {
  const drained = all.map((view, index) => (index === 0 ? member(0, { ranges: [[0, 9]] }) : index === 1 ? member(1, { ranges: [[10, 10922]] }) : view));
  const { findings, steps } = compareTopology(views(drained), new Map(), declared);
  assert.deepEqual(findings, [{ thing: "slots 10-5460", declared: "one shard with 0-5460", actual: "with 127.0.0.1:7002", mend: "slots" }]);
  assert.deepEqual([steps.length, new Set(steps.map((step) => step.kind === "move" && step.to.id))], [5451, new Set([id(0)])]);
  // Most of both other shards is with one master; each of the others keeps what it has some of.
  const heaped = all.map((view, index) => (index === 0 ? member(0, { ranges: [[0, 9]] }) : index === 1 ? member(1, { ranges: [[10, 16_373]] }) : index === 2 ? member(2, { ranges: [[16_374, 16_383]] }) : view));
  assert.deepEqual(found(views(heaped)), ["slots 10-5460: with 127.0.0.1:7002", "slots 10923-16373: with 127.0.0.1:7002"]);
  const emptied = all.map((view, index) => (index === 0 ? member(0, { ranges: [] }) : index === 1 ? member(1, { ranges: [[0, 10922]] }) : view));
  assert.deepEqual(compareTopology(views(emptied), new Map(), declared).findings[0], { thing: "slots", declared: "spread over 3 masters", actual: "spread over 2", mend: "refuse" });
});

test("a slot without a master is told though other nodes still hold one for its owner", () => {
  const own = all.map((view, index) => (index === 0 ? member(0, { ranges: [[0, 40], [42, 5460]] }) : view));
  const { findings, steps } = compareTopology(views(all, (index) => (index === 0 ? { members: own } : {})), new Map(), declared);
  assert.deepEqual(findings.map(({ actual }) => actual), ["41 with none"]);
  assert.deepEqual(steps.map((step) => step.kind === "cover" && [step.slot, step.owner.id]), [[41, id(0)]]);
});

test("a shard that nobody owns a slot of is told by that alone", () => {
  const bare = all.map((view, index) => (index === 0 ? member(0, { ranges: [] }) : view));
  const { findings, steps } = compareTopology(views(all, (index) => (index === 0 ? { members: bare } : {})), new Map(), declared);
  assert.deepEqual(findings.map(({ thing, actual }) => `${thing}: ${actual}`), ["slots: 0-5460 with none"]);
  assert.equal(steps.filter((step) => step.kind === "cover" && step.owner.id === id(0)).length, 5461);
});

test("a slot that was left on the move is settled where its shard is", () => {
  const open = all.map((view, index) => (index < 2 ? member(index, { open: [7] }) : view));
  const { findings, steps } = compareTopology(views(open), new Map(), declared);
  assert.deepEqual(findings.map(({ thing, actual }) => [thing, actual]), [["slots 7", "left on the move between two masters"]]);
  assert.deepEqual(steps.map((step) => step.kind === "move" && [step.slot, step.to.id]), [[7, id(0)]]);
});

test("a member that the others have forgotten is introduced to each of them", () => {
  const others = all.filter((_, index) => index !== 4);
  const { findings, steps } = compareTopology(views(all, (index) => (index === 4 ? {} : { members: others })), new Map(), declared);
  assert.deepEqual(findings.map(({ thing }) => thing), ["member 127.0.0.1:7005"]);
  assert.equal(steps.filter(({ kind }) => kind === "introduce").length, 5);
});

test("a foreign member that owns nothing is sent away, and one that owns slots is left to a person", () => {
  const stranger = member(7, { isMaster: true, masterId: undefined });
  const idle = compareTopology(views([...all, stranger]), new Map(), declared);
  assert.deepEqual(idle.steps, [{ kind: "evict", id: id(7) }]);
  const owning = compareTopology(views([...all, { ...stranger, slots: 1 }]), new Map(), declared);
  assert.deepEqual([owning.steps, owning.findings.map(({ mend }) => mend)], [[], ["refuse"]]);
});

test("a member that others know by another address is one of ours, and told by its own", () => {
  const misnamed = all.map((view, index) => (index === 4 ? { ...view, address: "127.0.0.9:7005" } : view));
  const { findings, steps } = compareTopology(views(misnamed, (index) => (index === 4 ? { members: all } : {})), new Map(), declared);
  assert.deepEqual(findings.map(({ thing, actual, mend }) => [thing, actual, mend]), [["member 127.0.0.1:7005", "known as 127.0.0.9:7005", "cluster"]]);
  assert.deepEqual(steps, []);
});

test("a node that is in no cluster is told so, and not by all whom it does not know", () => {
  const reset = compareTopology(views(all, (index) => (index === 4 ? { members: [member(4, { isMaster: true, masterId: undefined })] } : {})), new Map(), declared);
  assert.deepEqual(reset.findings.map(({ thing, actual }) => [thing, actual]), [["master 127.0.0.1:7002", "none"], ["member 127.0.0.1:7005", "in no cluster"]]);
});

test("a replica that was turned to another master turns back to the one that lacks it", () => {
  const turned = all.map((view, index) => (index === 5 ? member(5, { masterId: id(0) }) : view));
  const { findings, steps } = compareTopology(views(turned), new Map(), declared);
  assert.deepEqual(findings.map(({ thing, actual }) => [thing, actual]), [["master 127.0.0.1:7001", "2: 127.0.0.1:7004, 127.0.0.1:7006"], ["master 127.0.0.1:7003", "none"]]);
  assert.deepEqual(steps.map((step) => step.kind === "replicate" && [step.replica.id, step.master.id]), [[id(5), id(2)]]);
});

test("a node that does not answer is told by itself: nothing is said of what cannot be known without it", () => {
  const silent = new Map([["127.0.0.1:7001", "connect ECONNREFUSED"]]);
  assert.deepEqual(found(views(all).slice(1), silent), ["member 127.0.0.1:7001: connect ECONNREFUSED"]);
});

test("slots are read as they are written", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 16_383 }), { minLength: 1, maxLength: 200 }), (slots) => {
      assert.deepEqual(listSlots(writeSlots(slots)), [...slots].sort((a, b) => a - b));
    }),
  );
});
