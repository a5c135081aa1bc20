import type { NodeAddress } from "../cluster-plan.ts";
import { distinctNodes, nodeName } from "../cluster-plan.ts";
import type { Finding } from "../drift.ts";
import { isAlone } from "../formation-plan.ts";
import type { NodeView } from "../formation-plan.ts";
import { outlineScale } from "../scale-plan.ts";
import type { ScaleGoal } from "../scale-plan.ts";
import { describeScale } from "../scale-text.ts";
import { compareTopology } from "../topology.ts";
import type { TopologyDeclaration, TopologyDifference } from "../topology.ts";
import { observeEach } from "./formation.ts";
import type { FormationPorts } from "./formation.ts";
import { poll } from "./poll.ts";

/** How long a drift check waits for what may pass by itself. */
const passingLimitMs = 6000;
const lookIntervalMs = 300;
/** Looks in a row after which something is believed that no cluster shows in passing. */
const believedLooks = 2;

type Observe = Pick<FormationPorts, "observe">;

/** What a drift check has seen of a cluster. */
export interface Seen {
  /** Of the nodes that answer. */
  readonly views: readonly NodeView[];
  readonly findings: readonly Finding[];
}

/**
 * Looks until the cluster is as declared, or shows what no cluster shows in passing, or has shown it for long enough: while a
 * replica takes over or a node starts, all kinds of things are seen for a moment, and none of them is drift.
 */
export async function lookAtFormed(nodes: readonly NodeAddress[], declared: TopologyDeclaration, ports: Observe): Promise<Seen> {
  return lookUntilSure(nodes, ports, (views, silent) => compareTopology(views, silent, declared));
}

/**
 * Looks at a cluster whose scaling was begun and cut off. Neither its former shape nor the one that it is on its way to is there:
 * what is left of the way is one finding, and beside it only what is wrong on any of the way.
 * @param formed the nodes that it was formed of
 * @param since when the scaling was begun
 */
export async function lookAmidScaling(formed: readonly NodeAddress[], goal: ScaleGoal, since: Date, ports: Observe): Promise<Seen> {
  const isIn = (nodes: readonly NodeAddress[], node: NodeAddress): boolean => nodes.some((other) => nodeName(other) === nodeName(node));
  const staying = formed.filter((node) => isIn(goal.nodes, node));
  const all = distinctNodes([...goal.nodes, ...goal.leaving, ...formed]);
  const passers = new Set(all.filter((node) => !isIn(staying, node)).map(nodeName));
  const seen = await lookUntilSure(all, ports, (views, silent) => {
    const members = views.filter((view) => isIn(staying, view.node) || (isIn(goal.nodes, view.node) && !isAlone(view)));
    // A node that has yet to be started, or that is gone already, is a part of what is left to do.
    const missing = new Map([...silent].filter(([name]) => !passers.has(name)));
    return compareTopology(members, missing, { replicasPerMaster: undefined, layout: undefined, passers });
  });
  const scaling: Finding = { thing: "scaling", declared: "finished", actual: describeRest(seen.views, goal), since: since.toISOString(), mend: "scale" };
  return { views: seen.views.filter(({ node }) => isIn(formed, node)), findings: [scaling, ...seen.findings] };
}

function describeRest(views: readonly NodeView[], goal: ScaleGoal): string {
  const outline = outlineScale(views, goal);
  const missing = goal.nodes.filter((node) => !views.some((view) => nodeName(view.node) === nodeName(node))).map((node) => `start ${nodeName(node)}`);
  if ("kind" in outline) return `begun and cut off; what is left cannot be told${outline.kind === "replace" ? "" : `: ${outline.reason}`}`;
  const rest = [...missing, ...describeScale(outline, goal)];
  return rest.length === 0 ? "begun, and cut off just before its end" : `begun and cut off; left to do: ${rest.join("; ").replace(":;", ":")}`;
}

async function lookUntilSure(nodes: readonly NodeAddress[], ports: Observe, compare: (views: readonly NodeView[], silent: ReadonlyMap<string, string>) => TopologyDifference): Promise<Seen> {
  let lastingLooks = 0;
  let seen: Seen = { views: [], findings: [] };
  await poll(
    passingLimitMs,
    async () => {
      const { views, silent } = await observeEach(nodes, ports);
      const { findings, lasting } = compare(views, silent);
      seen = { views, findings };
      lastingLooks = lasting ? lastingLooks + 1 : 0;
      return findings.length === 0 || lastingLooks >= believedLooks ? true : undefined;
    },
    lookIntervalMs,
  );
  return seen;
}
