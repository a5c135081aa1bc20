import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import { planFormation } from "../formation-plan.ts";
import type { FormationPlan, NodeView } from "../formation-plan.ts";
import type { NodeMemory } from "../slot-room.ts";
import { compareTopology, placeReplicas } from "../topology.ts";
import type { RepairStep, TopologyDeclaration, TopologyDifference } from "../topology.ts";
import { CopyWatch } from "./copy-watch.ts";
import { MigrationHold } from "./migration-hold.ts";
import { takeRepairSteps } from "./repair.ts";
import type { RepairMeans } from "./repair.ts";
import type { HandOverLogin } from "./slot-moves.ts";

/** What forming a cluster needs of the world. */
export interface FormationPorts {
  /** Looks at one node; rejects if it does not answer. */
  observe(node: NodeAddress): Promise<NodeView>;
  /** Asks one node for its memory; rejects if it does not answer. */
  memory(node: NodeAddress): Promise<NodeMemory>;
  /** Asks one node how many bytes it has copied of its master's data, or loaded of its own, while it does; rejects if it does not answer. */
  copied(node: NodeAddress): Promise<number>;
  /** Sends one command to one node; rejects with Redis's own error. */
  call(node: NodeAddress, command: readonly [string, ...string[]]): Promise<unknown>;
  /** `redis-cli --cluster create` over all nodes. */
  createCluster(): Promise<void>;
  /** Milliseconds on a clock that only goes forward. */
  now(): number;
  pause(): Promise<void>;
}

/** The declared cluster, and how long to try. */
export interface FormationTask {
  readonly nodes: readonly NodeAddress[];
  readonly masters: number;
  /** For everything together; each replica that is turned to another master has as long again, and as long as its copy gets on. */
  readonly limitMs: number;
  /** How long a state that may heal by itself is watched before an empty cluster is started over. */
  readonly graceMs: number;
  /** What the cluster must look like, where it was formed before; then a member that is not ours may be sent away. */
  readonly formed?: TopologyDeclaration;
  /** How one node logs in at another, to hand over keys. */
  readonly login: HandOverLogin;
}

/** The cluster could not be brought to what is declared; nothing that holds data was touched. */
export class FormationError extends Error {
  readonly code = "CLUSTER_FORMATION";

  constructor(problem: string) {
    super(`the cluster was not formed: ${problem}`);
    this.name = "FormationError";
  }
}

/**
 * Brings the nodes to the declared cluster: look, plan, do one step, look again, until there is nothing to do.
 * It may be interrupted anywhere: the next run starts from what it then sees.
 * @returns what each node says of itself, in the declared order
 * @throws {FormationError} foreign data or members, or no end within the limit
 */
export async function formCluster(task: FormationTask, ports: FormationPorts): Promise<readonly NodeView[]> {
  const hold = new MigrationHold((node, command) => ports.call(node, command));
  try {
    return await formUnderHold(task, ports, hold);
  } finally {
    await hold.release();
  }
}

async function formUnderHold(task: FormationTask, ports: FormationPorts, hold: MigrationHold): Promise<readonly NodeView[]> {
  const means: RepairMeans = { call: (node, command) => ports.call(node, command), login: task.login, hold };
  let end = ports.now() + task.limitMs;
  /** Who turns replicas back while this goes on must not have it go on for ever. */
  let copiesLeft = task.nodes.length * 2;
  let waitingSince: number | undefined;
  let obstacle = "nothing has been tried";
  const copies = new CopyWatch(task.nodes, ports);
  for (;;) {
    if (ports.now() >= end) {
      if (!(await copies.getsOn())) throw new FormationError(`after ${task.limitMs / 1000} s still: ${obstacle}`);
      end = ports.now() + task.limitMs;
    }
    const views = await observeAll(task.nodes, ports);
    if (typeof views === "string") {
      obstacle = views;
      await ports.pause();
      continue;
    }
    const repair = task.formed === undefined ? undefined : compareTopology(views, new Map(), task.formed);
    const pressing = repair?.steps.filter(({ kind }) => kind === "evict" || kind === "introduce") ?? [];
    const plan = planFormation(views, task.masters);
    const steps = pressing.length > 0 ? pressing : stepsBeside(plan, views, repair, task);
    if (steps.length > 0) {
      const problem = await takeRepairSteps(steps, views, means);
      obstacle = problem ?? obstacle;
      if (problem === undefined && ["exchange", "replicate"].includes(steps[0]!.kind) && copiesLeft-- > 0) end = ports.now() + task.limitMs;
      await ports.pause();
      continue;
    }
    if (plan.kind === "adopt" && isAsFormed(repair)) return views;
    obstacle = repair?.findings.map(({ thing, actual }) => `${thing}: ${actual}`)[0] ?? obstacle;
    if (plan.kind === "refuse") throw new FormationError(plan.reason);
    if (plan.kind !== "wait") waitingSince = undefined;
    else waitingSince ??= ports.now();
    const patient = waitingSince !== undefined && ports.now() - waitingSince < task.graceMs;
    obstacle = (await takeStep(plan, patient, views, ports)) ?? obstacle;
    await ports.pause();
  }
}

/** What can be done while the plan has nothing to do but wait, or is at its end. */
function stepsBeside(plan: FormationPlan, views: readonly NodeView[], repair: TopologyDifference | undefined, { nodes, masters }: FormationTask): readonly RepairStep[] {
  const { kind } = plan;
  if (repair !== undefined) {
    if (kind === "adopt" || kind === "wait") return repair.steps;
    // Slots that have gone to a node which is no shard's master come back; then it can be a replica again.
    return "spread" in plan ? repair.steps.filter((step) => step.kind === "move") : [];
  }
  // Of a cluster that is new, or new to this stack: redis-cli spreads replicas over the hosts by trial.
  return kind === "adopt" ? placeReplicas(views, nodes.length / masters - 1) : [];
}

/** What waits for nobody: a difference without a step is one that passes, or one that only a person can judge. */
function isAsFormed(repair: TopologyDifference | undefined): boolean {
  return repair === undefined || repair.findings.every(({ mend }) => mend === "refuse");
}

/** Views of the nodes that answer, and why the others do not, by their names. */
export async function observeEach(nodes: readonly NodeAddress[], ports: Pick<FormationPorts, "observe">): Promise<{ views: NodeView[]; silent: Map<string, string> }> {
  const results = await Promise.allSettled(nodes.map((node) => ports.observe(node)));
  const views = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const silent = results.flatMap((result, index) => (result.status === "rejected" ? [[nodeName(nodes[index]!), describeSilence(nodes[index]!, result.reason)] as const] : []));
  return { views, silent: new Map(silent) };
}

/** Views of all nodes, or why one of them has none. */
export async function observeAll(nodes: readonly NodeAddress[], ports: Pick<FormationPorts, "observe">): Promise<readonly NodeView[] | string> {
  const { views, silent } = await observeEach(nodes, ports);
  return [...silent.values()][0] ?? views;
}

function describeSilence(node: NodeAddress, reason: unknown): string {
  const message = reason instanceof Error ? reason.message : String(reason);
  const name = nodeName(node);
  return message.startsWith(name) ? message : `${name}: ${message}`;
}

/** @returns what stood in the way, if anything */
async function takeStep(plan: FormationPlan, patient: boolean, views: readonly NodeView[], ports: FormationPorts): Promise<string | undefined> {
  switch (plan.kind) {
    case "create":
      await ports.createCluster();
      return undefined;
    case "start-over":
      return startOver(views, ports);
    case "replace":
      return replace(plan, views, ports);
    case "fail-over":
      // With the vote of the other masters; the master that would have to agree is no more.
      return attempt(plan.replica, ["CLUSTER", "FAILOVER", "FORCE"], ports);
    case "wait":
      if (!patient && plan.ifItLasts === "start-over") return startOver(views, ports);
      return plan.reason;
    case "adopt":
    case "refuse":
      return undefined;
  }
}

/**
 * Takes all nodes out of the unfinished cluster. Masters come first: Redis refuses to reset one that holds keys, so keys
 * written since the look stop it here, before a replica would drop its copy.
 */
async function startOver(views: readonly NodeView[], ports: FormationPorts): Promise<string | undefined> {
  const isMaster = (view: NodeView): boolean => view.members.find((member) => member.id === view.id)?.isMaster !== false;
  for (const group of [views.filter(isMaster), views.filter((view) => !isMaster(view))]) {
    for (const view of group) {
      const problem = await attempt(view.node, ["CLUSTER", "RESET", "HARD"], ports);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

async function replace(plan: Extract<FormationPlan, { kind: "replace" }>, views: readonly NodeView[], ports: FormationPorts): Promise<string | undefined> {
  const problems: (string | undefined)[] = [];
  const member = views.find((view) => view.members.length > 1) ?? views[0]!;
  for (const id of plan.forget) {
    for (const view of views.filter(({ members }) => members.some((known) => known.id === id))) {
      problems.push(await attempt(view.node, ["CLUSTER", "FORGET", id], ports));
    }
  }
  for (const { host, port } of plan.introduce) problems.push(await attempt(member.node, ["CLUSTER", "MEET", host, String(port)], ports));
  for (const { node, masterId } of plan.replicate) problems.push(await attempt(node, ["CLUSTER", "REPLICATE", masterId], ports));
  return problems.find((problem) => problem !== undefined);
}

/** A step that fails is no end: gossip may not have got there yet. The next look decides. */
async function attempt(node: NodeAddress, command: readonly [string, ...string[]], ports: FormationPorts): Promise<string | undefined> {
  try {
    await ports.call(node, command);
    return undefined;
  } catch (error) {
    return `${nodeName(node)} refused ${command.slice(0, 2).join(" ")}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
