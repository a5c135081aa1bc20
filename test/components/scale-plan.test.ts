import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeName } from "../../components/cluster-plan.ts";
import type { NodeView } from "../../components/formation-plan.ts";
import { outlineScale, planScale } from "../../components/scale-plan.ts";
import type { ScaleGoal, ScaleOutline, ScaleStep } from "../../components/scale-plan.ts";
import { describeScale } from "../../components/scale-text.ts";
import { placeReplicas } from "../../components/topology.ts";
import { Random } from "../support/random.ts";
import { addressOn, SimulatedCluster, sizesOf } from "./support/simulated-cluster.ts";

/** Nothing is cut off. */
const whole = (bound: number): number => bound - 1;

function goalOf(indices: readonly number[], replicasPerMaster: number, leaving: readonly number[], layout?: readonly string[], hosts: readonly number[] = [1]): ScaleGoal {
  const addresses = (all: readonly number[]) => all.map((index) => addressOn(hosts, index));
  return { nodes: addresses(indices), masters: indices.length / (replicasPerMaster + 1), replicasPerMaster, leaving: addresses(leaving), layout };
}

const range = (from: number, until: number): number[] => Array.from({ length: until - from }, (_, index) => from + index);
const port = (view: NodeView): number => view.node.port;

function outline(cluster: SimulatedCluster, goal: ScaleGoal): ScaleOutline {
  const found = outlineScale(cluster.look(), goal);
  assert.ok(!("kind" in found), JSON.stringify(found));
  return found;
}

/** Goes on until there is nothing to do, and says what was done. */
function complete(cluster: SimulatedCluster, goal: ScaleGoal): string[] {
  const kinds: string[] = [];
  for (let looks = 0; looks < 60; looks++) {
    const step = planScale(cluster.look(), goal);
    if (step.kind === "done") return kinds;
    assert.notEqual(step.kind, "refuse", JSON.stringify(step));
    kinds.push(step.kind);
    cluster.take(step);
    cluster.assertWhole();
  }
  assert.fail(`no end: ${kinds.join(", ")}`);
}

test("a shard is added: its nodes join, the replica follows, then a quarter of the slots comes", () => {
  const cluster = new SimulatedCluster(3, 1, whole);
  [6, 7].forEach((index) => cluster.start(index));
  const goal = goalOf(range(0, 8), 1, [], cluster.layout());
  const { join, follow, moves, leave, takeOver } = outline(cluster, goal);
  assert.deepEqual(join.map(port), [7007, 7008]);
  assert.deepEqual(follow.map(({ replica, master }) => [port(replica), port(master)]), [[7008, 7007]]);
  assert.deepEqual(moves.map(({ from, to, slots }) => [port(from), port(to), slots.length]), [[7001, 7007, 1365], [7002, 7007, 1365], [7003, 7007, 1366]]);
  assert.deepEqual([leave, takeOver], [[], []]);
  assert.deepEqual(complete(cluster, goal), ["meet", "follow", "wait", "move"]);
  assert.deepEqual(sizesOf(cluster.layout()), [4096, 4096, 4096, 4096]);
});

test("a shard is taken out: its slots go to the others, then its nodes leave", () => {
  const cluster = new SimulatedCluster(4, 1, whole);
  const goal = goalOf([0, 1, 2, 4, 5, 6], 1, [3, 7], cluster.layout());
  const { moves, leave, follow } = outline(cluster, goal);
  assert.deepEqual(moves.map(({ from, slots }) => [port(from), slots.length]), [[7004, 1366], [7004, 1365], [7004, 1365]]);
  assert.deepEqual(leave.map(({ name }) => name), ["127.0.0.1:7004", "127.0.0.1:7008"]);
  assert.deepEqual(follow, []);
  assert.deepEqual(complete(cluster, goal), ["move", "dismiss"]);
  assert.deepEqual(planScale(cluster.look(), goal), { kind: "done" });
});

test("a master that leaves while the number of masters stays hands over to its replica, without a slot moved", () => {
  const cluster = new SimulatedCluster(3, 2, whole);
  const layout = cluster.layout();
  const goal = goalOf([3, 4, 5, 6, 7, 8], 1, [0, 1, 2], layout);
  assert.deepEqual(outline(cluster, goal).takeOver.map(({ from, successor }) => [port(from), port(successor)]), [[7001, 7004], [7002, 7005], [7003, 7006]]);
  assert.deepEqual(complete(cluster, goal), ["take-over", "take-over", "take-over", "dismiss"]);
  assert.deepEqual(cluster.layout(), layout);
});

test("replicas become masters of their own where there are to be more masters of the same nodes", () => {
  const cluster = new SimulatedCluster(3, 3, whole);
  complete(cluster, goalOf(range(0, 12), 1, [], cluster.layout()));
  assert.equal(cluster.layout().length, 6);
});

test("two replicas that leave take a shard with them: its master becomes a replica", () => {
  const cluster = new SimulatedCluster(4, 1, whole);
  const goal = goalOf([0, 1, 2, 3, 4, 5], 1, [6, 7], cluster.layout());
  const { follow, moves } = outline(cluster, goal);
  assert.deepEqual(moves.map(({ from }) => port(from)), [7004, 7004, 7004]);
  assert.deepEqual(follow.map(({ replica, master }) => [port(replica), port(master)]), [[7004, 7003]]);
  complete(cluster, goal);
});

test("a shard that was added in part goes back as it was", () => {
  const cluster = new SimulatedCluster(3, 1, whole);
  const layout = cluster.layout();
  [6, 7].forEach((index) => cluster.start(index));
  const further = goalOf(range(0, 8), 1, [], layout);
  for (let step = planScale(cluster.look(), further); step.kind !== "move"; step = planScale(cluster.look(), further)) cluster.take(step);
  const { moves } = outline(cluster, further);
  cluster.take({ kind: "move", moves: moves.slice(0, 2) });
  complete(cluster, goalOf(range(0, 6), 1, [6, 7], layout));
  assert.deepEqual(cluster.layout(), layout);
});

test("a shard that is added on one new host gets a replica from another one, and gives that shard its own, before slots come to it", () => {
  const hosts = [1, 2, 3, 2, 3, 1, 4, 4];
  const cluster = new SimulatedCluster(3, 1, whole, hosts);
  [6, 7].forEach((index) => cluster.start(index));
  const goal = goalOf(range(0, 8), 1, [], cluster.layout(), hosts);
  const { follow } = outline(cluster, goal);
  assert.deepEqual(follow.map(({ replica, master, surplus }) => [port(replica), port(master), surplus]), [[7004, 7007, false], [7008, 7001, false]]);
  assert.deepEqual(describeScale(outline(cluster, goal), goal).slice(0, 3), ["from 3 masters to 4:", "add 127.0.0.4:7007 as a master, with 127.0.0.2:7004 as its replica", "add 127.0.0.4:7008 as a replica of 127.0.0.1:7001"]);
  assert.deepEqual(complete(cluster, goal), ["meet", "follow", "wait", "follow", "wait", "move"]);
  assert.deepEqual(placeReplicas(cluster.look(), 1), []);
});

test("a node that nobody has declared, or that holds what is not the cluster's, is refused by name", () => {
  const cluster = new SimulatedCluster(4, 1, whole);
  const step = planScale(cluster.look(), goalOf(range(0, 6), 1, []));
  assert.ok(step.kind === "refuse" && /is in a cluster with 127\.0\.0\.1:7007, which is not declared/.test(step.reason));

  const holding = new SimulatedCluster(3, 1, whole);
  [6, 7].forEach((index) => holding.start(index));
  const views = holding.look().map((view) => (port(view) === 7008 ? { ...view, keys: 3 } : view));
  const refused = planScale(views, goalOf(range(0, 8), 1, []));
  assert.ok(refused.kind === "refuse" && refused.reason.startsWith("127.0.0.1:7008 holds 3 key(s) and 0 slot(s), but is not in the cluster of 127.0.0.1:7001, "), JSON.stringify(refused));
});

test("a member that leaves and does not answer is forgotten if it owns nothing, and waited for if it does", () => {
  const cluster = new SimulatedCluster(4, 1, whole);
  const goal = goalOf([0, 1, 2, 4, 5, 6], 1, [3, 7], cluster.layout());
  const without = (gone: number): NodeView[] => cluster.look().filter((view) => port(view) !== gone);
  const waiting = planScale(without(7004), goal);
  assert.ok(waiting.kind === "wait" && waiting.reason === "127.0.0.1:7004 does not answer, and no replica has taken over its 4096 slots yet", JSON.stringify(waiting));
  cluster.take(planScale(cluster.look(), goal));
  const step = planScale(without(7008), goal);
  assert.deepEqual(step.kind === "dismiss" && step.leave.map(({ name, view }) => [name, view !== undefined]), [["127.0.0.1:7008", false], ["127.0.0.1:7004", true]]);
});

test("from any cluster to any other, cut off and failed over anywhere, the declaration changed on the way: all comes to its end and nothing is lost", () => {
  const shape = fc.record({ masters: fc.integer({ min: 3, max: 5 }), replicasPerMaster: fc.integer({ min: 1, max: 2 }), order: fc.array(fc.nat(), { minLength: 20, maxLength: 20 }), kept: fc.nat() });
  fc.assert(
    fc.property(fc.record({ masters: fc.integer({ min: 3, max: 5 }), replicasPerMaster: fc.integer({ min: 1, max: 2 }) }), fc.array(shape, { minLength: 1, maxLength: 3 }), fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 7 }), fc.nat(), (first, goals, hosts, seed) => {
      const random = new Random(seed + 1);
      const dice = (bound: number): number => random.below(bound);
      const cluster = new SimulatedCluster(first.masters, first.replicasPerMaster, dice, hosts);
      const layout = cluster.layout();
      let declared = range(0, first.masters * (first.replicasPerMaster + 1));
      const everDeclared = new Set(declared);
      let next = declared.length;
      for (const [turn, { masters, replicasPerMaster, order, kept }] of goals.entries()) {
        const size = masters * (replicasPerMaster + 1);
        const staying = declared.toSorted((a, b) => order[a % 20]! - order[b % 20]!).slice(0, 1 + (kept % Math.min(size, declared.length)));
        declared = [...staying.sort((a, b) => a - b), ...Array.from({ length: size - staying.length }, () => next++)];
        declared.forEach((index) => everDeclared.add(index));
        declared.forEach((index) => cluster.start(index));
        const goal = goalOf(declared, replicasPerMaster, [...everDeclared].filter((index) => !declared.includes(index)), layout, hosts);
        const isLast = turn === goals.length - 1;
        let step: ScaleStep | undefined;
        const looksUntilChange = isLast ? Infinity : dice(12);
        for (let looks = 0; looks < looksUntilChange && step?.kind !== "done"; looks++) {
          assert.ok(looks < 300, `no end: ${step?.kind ?? ""}`);
          step = planScale(cluster.look(), goal);
          assert.notEqual(step.kind, "refuse", JSON.stringify(step));
          cluster.take(step);
          if (looks < 30 && dice(8) === 0) cluster.failOverAny();
          cluster.assertWhole();
        }
        if (isLast) assertReached(cluster, goal);
      }
    }),
    { numRuns: 25 },
  );
});

function assertReached(cluster: SimulatedCluster, goal: ScaleGoal): void {
  const views = cluster.look();
  const own = (view: NodeView) => view.members.find(({ id }) => id === view.id)!;
  const declared = new Set(goal.nodes.map(nodeName));
  const masters = views.filter((view) => own(view).slots > 0);
  assert.equal(masters.length, goal.masters);
  for (const master of masters) {
    assert.ok(declared.has(nodeName(master.node)));
    assert.equal(views.filter((view) => own(view).masterId === master.id && declared.has(nodeName(view.node))).length, goal.replicasPerMaster);
  }
  const sizes = sizesOf(cluster.layout());
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
  for (const view of views.filter(({ node }) => !declared.has(nodeName(node)))) assert.equal(view.members.length, 1, `${nodeName(view.node)} is in no cluster any more`);
}
