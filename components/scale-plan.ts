import type { NodeAddress } from "./cluster-plan.ts";
import { nodeName } from "./cluster-plan.ts";
import { describeForeign, describeHoldings, emptyIt, findSuccessor, formerMembers, isAlone, names, ownMember, slotCount } from "./formation-plan.ts";
import type { MemberView, NodeView } from "./formation-plan.ts";
import type { Exchange } from "./host-spread.ts";
import { chooseRoles } from "./scale-roles.ts";
import type { Follow, TakeOver } from "./scale-roles.ts";
import { balanceSlots, restoreSlots } from "./slot-balance.ts";
import { slotsIn } from "./slot-ranges.ts";

/** What a formed cluster is to become. */
export interface ScaleGoal {
  /** All declared nodes; masters are made of the first that are free. */
  readonly nodes: readonly NodeAddress[];
  readonly masters: number;
  readonly replicasPerMaster: number;
  /** Nodes that were declared once and no longer are: as far as they are members, they are to leave. */
  readonly leaving: readonly NodeAddress[];
  /** The slots of each shard at the last formation; undefined where that is not known. With as many shards as masters they stay so. */
  readonly layout: readonly string[] | undefined;
}

/** Slots that go from one node to another. */
export interface SlotMove {
  readonly from: NodeView;
  readonly to: NodeView;
  readonly slots: readonly number[];
}

/** A member that is to be forgotten by all others. */
export interface Leaver {
  readonly id: string;
  readonly name: string;
  /** The node itself, if it answers: it is emptied of what it knows of the cluster. */
  readonly view: NodeView | undefined;
}

/** All that is left to be done, as one look shows it. */
export interface ScaleOutline {
  /** Nodes that are in no cluster yet. */
  readonly join: readonly NodeView[];
  /** Replicas that are to be masters of their own: they leave their shard first. */
  readonly release: readonly NodeView[];
  /** Slots that a move was cut off in. */
  readonly open: readonly number[];
  /** Replicas that take the place of a master that leaves. */
  readonly takeOver: readonly TakeOver[];
  /** Nodes that become replicas, or replicas of another master. */
  readonly follow: readonly Follow[];
  readonly moves: readonly SlotMove[];
  readonly leave: readonly Leaver[];
  /** Replicas that change places in the end, because of their hosts; no step here (provider/repair.ts). */
  readonly exchange: readonly Exchange[];
}

/** What is next; one look, one step, so that an interrupted run is gone on with from what is then seen. */
export type ScaleStep =
  | { readonly kind: "done" }
  /** Going on could destroy data or touch what is not ours. */
  | { readonly kind: "refuse"; readonly reason: string }
  /** It passes by itself, or never; `meet` may help where members do not hear of each other. */
  | { readonly kind: "wait"; readonly reason: string; readonly meet: readonly Meeting[] }
  | { readonly kind: "meet"; readonly meet: readonly Meeting[] }
  /** The node is taken out of its cluster with all that it knows; it holds nothing that others do not. */
  | { readonly kind: "release"; readonly nodes: readonly NodeView[] }
  /** By the votes of the other masters: the node's own master is gone, with its id. */
  | { readonly kind: "replace"; readonly successor: NodeView }
  | { readonly kind: "settle"; readonly slots: readonly number[] }
  | { readonly kind: "take-over"; readonly successor: NodeView }
  | { readonly kind: "follow"; readonly follow: readonly Follow[] }
  | { readonly kind: "move"; readonly moves: readonly SlotMove[] }
  /** Those who stay are told to forget them, and only then are they emptied; what the leaving know of each other goes with them. */
  | { readonly kind: "dismiss"; readonly leave: readonly Leaver[]; readonly tell: readonly NodeView[] };

/** One node is told of another. */
export interface Meeting {
  readonly at: NodeView;
  readonly to: NodeView;
}

type Obstacle = Extract<ScaleStep, { kind: "refuse" | "wait" | "replace" }>;

/** Decides what is next on the way to the goal. Pure. */
export function planScale(views: readonly NodeView[], goal: ScaleGoal): ScaleStep {
  const outline = outlineScale(views, goal);
  return "kind" in outline ? outline : chooseStep(outline, views, goal);
}

/**
 * All that is to be done to get from what the nodes say to the goal, or what stands in the way of knowing. Pure.
 * @param views of all declared nodes, and of those leaving ones that answer
 */
export function outlineScale(views: readonly NodeView[], goal: ScaleGoal): ScaleOutline | Obstacle {
  const declared = goal.nodes.flatMap((node) => views.find((view) => nodeName(view.node) === nodeName(node)) ?? []);
  const leaving = views.filter((view) => !declared.includes(view) && !isAlone(view));
  const members = [...declared, ...leaving];
  const obstacle = findObstacle(members, goal);
  if (obstacle !== undefined) return obstacle;
  const roles = chooseRoles(declared, leaving, goal);
  const gone = formerMembers(declared, members).map(({ id, address }): Leaver => ({ id, name: address === "" ? id : address, view: undefined }));
  return {
    join: declared.filter(isAlone),
    release: roles.masters.filter((view) => ownMember(view).masterId !== undefined && !roles.takeOver.some(({ successor }) => successor === view)),
    open: [...new Set(members.flatMap((view) => ownMember(view).open))].sort((a, b) => a - b),
    takeOver: roles.takeOver,
    follow: roles.follow,
    moves: planMoves(members, roles.masters, roles.takeOver, goal),
    leave: [...gone, ...leaving.map((view) => ({ id: view.id, name: nodeName(view.node), view }))],
    exchange: roles.exchange,
  };
}

/** Why the members' views are not to be relied on, or not to be acted on. */
function findObstacle(members: readonly NodeView[], goal: ScaleGoal): Obstacle | undefined {
  const foreign = describeForeign(members, [...goal.nodes, ...goal.leaving]);
  if (foreign !== undefined) return { kind: "refuse", reason: foreign };
  const joined = members.filter((view) => !isAlone(view));
  const claiming = members.filter((view) => isAlone(view) && (view.keys > 0 || ownMember(view).slots > 0));
  if (claiming.length > 0) return { kind: "refuse", reason: `${describeHoldings(claiming)}, but is not in the cluster of ${names(joined)}; ${emptyIt}` };
  const handshaking = joined.some((view) => view.members.some((member) => member.handshaking));
  if (handshaking) return wait("members are still shaking hands");
  const lost = formerMembers(members).find((member) => member.slots > 0);
  if (lost !== undefined) return describeLost(lost, members);
  const strange = joined.flatMap((at) => joined.filter((to) => !at.members.some(({ id }) => id === to.id)).map((to) => ({ at, to })));
  // A node that leaves and is forgotten already has only itself to be told.
  const unheard = strange.filter(({ at, to }) => [at, to].every((view) => goal.nodes.some((node) => nodeName(node) === nodeName(view.node))));
  if (unheard.length > 0) return { ...wait(`${names([unheard[0]!.at])} does not know ${names([unheard[0]!.to])} yet`), meet: unheard };
  const claims = joined.reduce((sum, view) => sum + ownMember(view).slots, 0);
  if (claims !== slotCount) return wait(claims < slotCount ? `${slotCount - claims} slots belong to no master` : "two masters claim the same slots");
  const unwell = joined.find((view) => !view.clusterOk && ownMember(view).slots > 0);
  return unwell === undefined ? undefined : wait(`${nodeName(unwell.node)} does not report cluster_state:ok`);
}

function wait(reason: string): Extract<ScaleStep, { kind: "wait" }> {
  return { kind: "wait", reason, meet: [] };
}

/** An owner of slots that answers no more, or under another id. */
function describeLost(lost: MemberView, members: readonly NodeView[]): Obstacle {
  const successor = findSuccessor(members, lost);
  if (successor !== undefined) return { kind: "replace", successor };
  return wait(`${lost.address === "" ? `the former member ${lost.id}` : lost.address} does not answer, and no replica has taken over its ${lost.slots} slots yet`);
}

function planMoves(members: readonly NodeView[], masters: readonly NodeView[], takeOver: readonly TakeOver[], { layout }: ScaleGoal): SlotMove[] {
  const heirs = new Map(takeOver.map(({ from, successor }) => [from.id, successor]));
  const owned = (view: NodeView): number[] => (heirs.has(view.id) ? [] : slotsIn(ownMember(view).ranges));
  const inherited = (view: NodeView): number[] => takeOver.filter(({ successor }) => successor === view).flatMap(({ from }) => slotsIn(ownMember(from).ranges));
  const holders = members.map((view) => ({ id: view.id, slots: [...owned(view), ...inherited(view)], stays: masters.includes(view) }));
  const unchanged = holders.every(({ slots, stays }) => stays === slots.length > 0);
  const kept = layout?.length === masters.length ? restoreSlots(holders, layout) : undefined;
  const transfers = kept ?? (layout === undefined && unchanged ? [] : balanceSlots(holders));
  const viewOf = (id: string): NodeView => members.find((view) => view.id === id)!;
  return transfers.map(({ from, to, slots }) => ({ from: viewOf(from), to: viewOf(to), slots }));
}

function chooseStep(outline: ScaleOutline, views: readonly NodeView[], goal: ScaleGoal): ScaleStep {
  const { join, release, open, takeOver, follow, moves, leave } = outline;
  if (release.length > 0) return { kind: "release", nodes: release };
  if (join.length > 0) {
    const member = views.find((view) => !isAlone(view))!;
    return { kind: "meet", meet: join.map((to) => ({ at: member, to })) };
  }
  if (open.length > 0) return { kind: "settle", slots: open };
  const [heir] = takeOver;
  if (heir !== undefined) return heir.successor.inSync ? { kind: "take-over", successor: heir.successor } : wait(`${nodeName(heir.successor.node)} is not in sync with ${nodeName(heir.from.node)}, whose place it is to take`);
  const declared = new Set(goal.nodes.map(nodeName));
  const behind = views.filter((view) => !view.inSync && declared.has(nodeName(view.node)));
  const ready = readyToFollow(follow, views, behind);
  if (ready.length > 0) return { kind: "follow", follow: ready };
  // Before slots come to a master its replicas are there, and before a replica leaves another one has its place.
  if (behind.length > 0) return wait(`${names(behind)} is not in sync with its master yet`);
  if (moves.length > 0) return { kind: "move", moves };
  if (follow.length > 0) return wait(`${names(follow.map(({ replica }) => replica))} cannot replicate ${names(follow.map(({ master }) => master))} yet`);
  return leave.length > 0 ? { kind: "dismiss", leave, tell: views.filter(({ node }) => declared.has(nodeName(node))) } : { kind: "done" };
}

/**
 * Those that give nothing up by it: who owns slots, or is the replica of one that has yet to be emptied, comes later. One at a
 * time for each master, because each takes a full copy.
 */
function readyToFollow(follow: readonly Follow[], views: readonly NodeView[], behind: readonly NodeView[]): Follow[] {
  const free = follow.filter(({ replica, surplus }) => {
    const { slots, masterId } = ownMember(replica);
    const master = views.find(({ id }) => id === masterId);
    return slots === 0 && (master === undefined || surplus || ownMember(master).slots === 0);
  });
  const busy = new Set(behind.map((view) => ownMember(view).masterId));
  return free.filter(({ master }, index) => !busy.has(master.id) && free.findIndex((other) => other.master === master) === index);
}
