import type { NodeAddress } from "./cluster-plan.ts";
import { nodeName } from "./cluster-plan.ts";
import { sharing } from "./host-spread.ts";
import type { SlotRange } from "./slot-ranges.ts";

/** Hash slots of every Redis Cluster (Redis Cluster specification, "Key distribution model"). */
export const slotCount = 16_384;

/** One line of a node's `CLUSTER NODES`: what that node believes about a member. */
export interface MemberView {
  readonly id: string;
  /** `IP:port`; empty where it is lost (`noaddr`), as of a node whose address answers under another id now. */
  readonly address: string;
  readonly isMaster: boolean;
  /** Id of its master; undefined for a master. */
  readonly masterId: string | undefined;
  /** FAIL: agreed by the majority, not just suspected. */
  readonly failed: boolean;
  /** Still shaking hands: it will either join or vanish by itself. */
  readonly handshaking: boolean;
  /** Number of slots it owns. */
  readonly slots: number;
  /** The slots it owns. */
  readonly ranges: readonly SlotRange[];
  /** Slots that it is giving to another member, or taking from one; a node tells only its own. */
  readonly open: readonly number[];
}

/** What one declared node says about itself and the others. */
export interface NodeView {
  readonly node: NodeAddress;
  readonly id: string;
  /** Keys in its data set. */
  readonly keys: number;
  /** `cluster_state:ok` */
  readonly clusterOk: boolean;
  /** A replica whose link to its master is up and in sync; true of a master. */
  readonly inSync: boolean;
  /** All members it knows, itself among them. */
  readonly members: readonly MemberView[];
}

/** A node that replaces a former one: it is empty and alone, and takes over the former one's address. */
export interface Replacement {
  readonly node: NodeAddress;
  readonly id: string;
  /** Master it is to replicate. */
  readonly masterId: string;
}

/** What must happen next to get from what is to what is declared. */
export type FormationPlan =
  | { readonly kind: "adopt" }
  /** All nodes are alone and empty. */
  | { readonly kind: "create" }
  /** An interrupted creation: all members are ours and there is no key anywhere. */
  | { readonly kind: "start-over"; readonly spread?: true }
  /** Nodes that lost their data directory are introduced again, and their former ids forgotten. */
  | { readonly kind: "replace"; readonly introduce: readonly NodeAddress[]; readonly replicate: readonly Replacement[]; readonly forget: readonly string[] }
  /**
   * A master that lost its data directory answers under a new id. The others then hold the former one for a node without
   * address, which Redis never declares failed: no replica takes over by itself.
   */
  | { readonly kind: "fail-over"; readonly replica: NodeAddress }
  /**
   * The cluster may be changing by itself (failover, handshake): look again.
   * If it lasts: start over where there is no key anywhere, else give up.
   */
  | { readonly kind: "wait"; readonly reason: string; readonly ifItLasts: "start-over" | "give-up" }
  /** Going on could destroy data or touch what is not ours. `spread`: the slots have more masters than are declared, or fewer. */
  | { readonly kind: "refuse"; readonly reason: string; readonly spread?: true };

/**
 * Decides how to get from what the declared nodes say to the declared cluster. Pure: one look, one step; the caller looks again.
 * @param views one for every declared node; all of them answered
 * @param masters declared number of masters
 */
export function planFormation(views: readonly NodeView[], masters: number): FormationPlan {
  const foreign = describeForeign(views, views.map(({ node }) => node));
  if (foreign !== undefined) return { kind: "refuse", reason: foreign };
  const keys = views.reduce((sum, view) => sum + view.keys, 0);
  const joined = views.filter((view) => !isAlone(view));
  const alone = views.filter(isAlone);
  if (joined.length === 0) return planFirstCreation(views, keys);
  const claiming = alone.filter((view) => view.keys > 0 || ownSlots(view) > 0);
  if (claiming.length > 0) return startOverOr(keys, `${describeHoldings(claiming)}, but is not in the cluster of ${names(joined)}; ${emptyIt}`);
  const cluster = largestView(joined);
  const unsettled = describeUnsettled(views, joined, cluster);
  if (unsettled !== undefined) return wait(keys, unsettled);
  const lost = formerMembers(views);
  return lost.length > 0 || alone.length > 0 ? planReplacement(views, cluster, alone, lost, keys) : planRoles(views, cluster, masters, keys);
}

/**
 * Members whose address is nobody's that we know: a foreign cluster, or one that has more nodes than declared. One of ours that
 * others know by another address is none.
 * @param known all nodes that are or were declared
 */
export function describeForeign(views: readonly NodeView[], known: readonly NodeAddress[]): string | undefined {
  const declared = new Set(known.map(nodeName));
  const ours = new Set(views.filter(({ node }) => declared.has(nodeName(node))).map(({ id }) => id));
  for (const view of views) {
    const stranger = view.members.find((member) => !member.handshaking && member.address !== "" && !declared.has(member.address) && !ours.has(member.id));
    if (stranger === undefined) continue;
    const own = nodeName(view.node);
    return `${own} is in a cluster with ${stranger.address}, which is not declared; take that one out (redis-cli --cluster del-node ${own} ${stranger.id}), or declare nodes that are in no other cluster`;
  }
  return undefined;
}

function planFirstCreation(views: readonly NodeView[], keys: number): FormationPlan {
  if (keys > 0) return { kind: "refuse", reason: `${describeHoldings(views.filter((view) => view.keys > 0))}, but is in no cluster; ${emptyIt}` };
  return views.some((view) => ownSlots(view) > 0) ? { kind: "start-over" } : { kind: "create" };
}

/** Why the cluster's members do not agree yet; undefined once they do. */
function describeUnsettled(views: readonly NodeView[], joined: readonly NodeView[], cluster: NodeView): string | undefined {
  if (views.some((view) => view.members.some((member) => member.handshaking))) return "members are still shaking hands";
  const known = new Set(cluster.members.map((member) => member.id));
  const outside = joined.filter((view) => !known.has(view.id));
  if (outside.length > 0) return `${nodeName(cluster.node)} does not know ${names(outside)} yet`;
  const assigned = cluster.members.reduce((sum, member) => sum + member.slots, 0);
  return assigned === slotCount ? undefined : `${slotCount - assigned} slots belong to no master`;
}

function wait(keys: number, reason: string): FormationPlan {
  return { kind: "wait", reason, ifItLasts: keys === 0 ? "start-over" : "give-up" };
}

function startOverOr(keys: number, reason: string): Extract<FormationPlan, { kind: "start-over" | "refuse" }> {
  return keys === 0 ? { kind: "start-over" } : { kind: "refuse", reason };
}

function planReplacement(views: readonly NodeView[], cluster: NodeView, alone: readonly NodeView[], lost: readonly MemberView[], keys: number): FormationPlan {
  const owner = lost.find((member) => member.slots > 0);
  const successor = owner === undefined ? undefined : findSuccessor(views, owner);
  if (successor !== undefined) return { kind: "fail-over", replica: successor.node };
  if (owner !== undefined) return wait(keys, `the former member ${owner.id} is gone, and no replica has taken over its ${owner.slots} slots yet`);
  if (alone.length > 0) return { kind: "replace", introduce: alone.map((view) => view.node), replicate: [], forget: lost.map((member) => member.id) };
  return { kind: "replace", introduce: [], replicate: missingReplicas(views, cluster), forget: lost.map((member) => member.id) };
}

/** A replica of a lost master that has to be told to take over; undefined where Redis sees to that itself. */
export function findSuccessor(views: readonly NodeView[], lost: MemberView): NodeView | undefined {
  const isForgotten = views.some(({ members }) => members.some(({ id, address, failed }) => id === lost.id && address === "" && !failed));
  if (!isForgotten) return undefined;
  return views.find((view) => view.members.some(({ id, masterId }) => id === view.id && masterId === lost.id));
}

function planRoles(views: readonly NodeView[], cluster: NodeView, masters: number, keys: number): FormationPlan {
  const owners = cluster.members.filter((member) => member.slots > 0);
  if (owners.length !== masters) {
    const places = owners.map(({ address, slots }) => `${address} (${slots})`).join(", ");
    return { ...startOverOr(keys, `the slots are spread over ${owners.length} masters, ${places}; ${masters} are declared. Move the slots (redis-cli --cluster reshard), or declare as many`), spread: true };
  }
  const replicate = missingReplicas(views, cluster);
  if (replicate.length > 0) return { kind: "replace", introduce: [], replicate, forget: [] };
  const unwell = views.find((view) => !view.clusterOk);
  if (unwell !== undefined) return wait(keys, `${nodeName(unwell.node)} does not report cluster_state:ok`);
  const behind = views.find((view) => !view.inSync);
  if (behind !== undefined) return wait(keys, `${nodeName(behind.node)} is not in sync with its master`);
  return { kind: "adopt" };
}

/** Masters without slots become replicas of the slot owners that have the fewest, on another host if they can. */
function missingReplicas(views: readonly NodeView[], cluster: NodeView): Replacement[] {
  const viewOf = new Map(views.map((view) => [view.id, view]));
  const members = cluster.members.filter((member) => viewOf.has(member.id));
  const shards = new Map(members.filter((member) => member.slots > 0).map((member) => [member.id, [viewOf.get(member.id)!]]));
  for (const { id, masterId } of members) shards.get(masterId ?? "")?.push(viewOf.get(id)!);
  return members
    .filter((member) => member.isMaster && member.slots === 0)
    .map(({ id }) => {
      const view = viewOf.get(id)!;
      const [masterId, shard] = [...shards].sort(([, a], [, b]) => a.length - b.length || sharing(view, a) - sharing(view, b))[0]!;
      shard.push(view);
      return { node: view.node, id, masterId };
    });
}

/**
 * Members under an id that no node has any more: nodes that lost their data directory, as the others remember them.
 * @param all the nodes that there are
 */
export function formerMembers(views: readonly NodeView[], all = views): MemberView[] {
  const living = new Set(all.map((view) => view.id));
  const former = views.flatMap((view) => view.members).filter((member) => !living.has(member.id));
  return [...new Map(former.map((member) => [member.id, member])).values()];
}

/** The view with the most members: nodes that gossip has not reached yet know fewer. */
function largestView(views: readonly NodeView[]): NodeView {
  return views.reduce((largest, view) => (view.members.length > largest.members.length ? view : largest));
}

/** Whether a node knows of no other. */
export function isAlone(view: NodeView): boolean {
  return view.members.length <= 1;
}

/** What a node says of itself. */
export function ownMember(view: NodeView): MemberView {
  // observeNode refuses an answer in which the node does not name itself.
  return view.members.find(({ id }) => id === view.id)!;
}

function ownSlots(view: NodeView): number {
  return ownMember(view).slots;
}

/** What to do about a node that holds what is not this cluster's. */
export const emptyIt = "empty it if nobody needs that (FLUSHALL, then CLUSTER RESET HARD), or declare another node";

/** What nodes hold that stands in the way, such as `127.0.0.1:7003 holds 12 key(s) and 5461 slot(s)`. */
export function describeHoldings(views: readonly NodeView[]): string {
  return views.map((view) => `${nodeName(view.node)} holds ${view.keys} key(s) and ${ownSlots(view)} slot(s)`).join(", ");
}

/** Where nodes listen, for a person. */
export function names(views: readonly NodeView[]): string {
  return views.map((view) => nodeName(view.node)).join(", ");
}
