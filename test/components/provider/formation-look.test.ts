import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { NodeAddress } from "../../../components/cluster-plan.ts";
import { nodeName } from "../../../components/cluster-plan.ts";
import type { NodeView } from "../../../components/formation-plan.ts";
import { lookAmidScaling } from "../../../components/provider/formation-look.ts";
import type { Seen } from "../../../components/provider/formation-look.ts";
import { planScale } from "../../../components/scale-plan.ts";
import type { ScaleGoal } from "../../../components/scale-plan.ts";
import { Random } from "../../support/random.ts";
import { addressOf, SimulatedCluster } from "../support/simulated-cluster.ts";

const since = new Date("2026-01-02T03:04:05Z");
const range = (from: number, until: number): number[] => Array.from({ length: until - from }, (_, index) => from + index);

function goalOf(indices: readonly number[], replicasPerMaster: number, leaving: readonly number[], layout: readonly string[]): ScaleGoal {
  return { nodes: indices.map(addressOf), masters: indices.length / (replicasPerMaster + 1), replicasPerMaster, leaving: leaving.map(addressOf), layout };
}

function look(formed: readonly NodeAddress[], goal: ScaleGoal, views: () => readonly NodeView[]): Promise<Seen> {
  const observe = (node: NodeAddress): Promise<NodeView> => {
    const view = views().find((one) => nodeName(one.node) === nodeName(node));
    return view === undefined ? Promise.reject(new Error("connect ECONNREFUSED")) : Promise.resolve(view);
  };
  return lookAmidScaling(formed, goal, since, { observe });
}

test("wherever a scaling is cut off, what is left of it is all that differs", async () => {
  const shapes = fc.constantFrom([3, 1, 4, 1], [4, 1, 3, 1], [3, 1, 3, 2], [3, 2, 3, 1]);
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.nat({ max: 12 }), async ([masters, replicas, newMasters, newReplicas], seed, steps) => {
      const random = new Random(seed + 1);
      const cluster = new SimulatedCluster(masters, replicas, (bound) => random.below(bound));
      const [before, after] = [masters * (replicas + 1), newMasters * (newReplicas + 1)];
      const goal = goalOf(range(0, after), newReplicas, range(after, Math.max(before, after)), cluster.layout());
      range(0, after).forEach((index) => cluster.start(index));
      for (let step = planScale(cluster.look(), goal), taken = 0; step.kind !== "done" && taken < steps; step = planScale(cluster.look(), goal), taken++) cluster.take(step);
      const { findings, views } = await look(range(0, before).map(addressOf), goal, () => cluster.look());
      assert.deepEqual(findings.map(({ thing, declared, mend }) => [thing, declared, mend]), [["scaling", "finished", "scale"]], JSON.stringify(findings));
      assert.match(findings[0]!.actual, /^begun(, and cut off just before its end| and cut off; (left to do: .+|what is left cannot be told: .+))$/);
      assert.equal(views.length, before);
    }),
    { numRuns: 40 },
  );
});

test("it says when the scaling was begun, and what is left of it", async () => {
  const cluster = new SimulatedCluster(3, 1, (bound) => bound - 1);
  cluster.start(6);
  const { findings } = await look(range(0, 6).map(addressOf), goalOf(range(0, 8), 1, [], cluster.layout()), () => cluster.look());
  assert.equal(findings[0]!.since, "2026-01-02T03:04:05.000Z");
  assert.match(findings[0]!.actual, /^begun and cut off; left to do: start 127\.0\.0\.1:7008; /);
});

test("a member that nobody has ever declared, and a node that stays and does not answer, are told beside it", async () => {
  const cluster = new SimulatedCluster(5, 1, (bound) => bound - 1);
  const formed = range(0, 8).map(addressOf);
  // 7009 and 7010 (indices 8 and 9) are members that no declaration names.
  const goal = goalOf(range(0, 6), 1, [6, 7], cluster.layout());
  const { findings } = await look(formed, goal, () => cluster.look().filter(({ node }) => node.port !== 7002));
  const told = findings.slice(1).map(({ thing }) => thing);
  assert.deepEqual(told, ["member 127.0.0.1:7002", "foreign member 127.0.0.1:7009", "foreign member 127.0.0.1:7010"]);
});
