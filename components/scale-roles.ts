import { isAlone, ownMember } from "./formation-plan.ts";
import type { NodeView } from "./formation-plan.ts";

/** A replica that takes the place of its master, which leaves: no slot has to be moved for it. */
export interface TakeOver {
  readonly from: NodeView;
  readonly successor: NodeView;
}

/** A node that is to replicate a master. */
export interface Follow {
  readonly replica: NodeView;
  readonly master: NodeView;
  /** Whether it replicates a master now that has enough without it. */
  readonly surplus: boolean;
}

/** Who is to be what. */
export interface Roles {
  /** In the declared order; a successor among them stands for the master whose place it takes. */
  readonly masters: readonly NodeView[];
  readonly takeOver: readonly TakeOver[];
  readonly follow: readonly Follow[];
}

/**
 * Chooses masters so that as few slots as can be have to move, then their replicas so that as few as can be have to change.
 * Asked again in the middle of the way there, it chooses the same.
 * @param declared in the declared order
 * @param leaving members that are to leave
 */
export function chooseRoles(declared: readonly NodeView[], leaving: readonly NodeView[], goal: { readonly masters: number; readonly replicasPerMaster: number }): Roles {
  // Who owns most comes first: one that has begun to give its slots away goes on to.
  const owners = declared.filter(ownsSlots).sort((a, b) => ownMember(b).slots - ownMember(a).slots);
  const chosen = owners.slice(0, goal.masters);
  const takeOver = findHeirs(declared, leaving, goal.masters - chosen.length);
  chosen.push(...takeOver.map(({ successor }) => successor));
  chosen.push(...candidates(declared.filter((view) => !chosen.includes(view) && !ownsSlots(view)), declared).slice(0, goal.masters - chosen.length));
  const masters = declared.filter((view) => chosen.includes(view));
  return { masters, takeOver, follow: assignReplicas(declared, masters, takeOver, goal.replicasPerMaster) };
}

function findHeirs(declared: readonly NodeView[], leaving: readonly NodeView[], wanted: number): TakeOver[] {
  const heirs = leaving.filter(ownsSlots).flatMap((from): TakeOver[] => {
    const replicas = declared.filter((view) => ownMember(view).masterId === from.id);
    const successor = replicas.find(({ inSync }) => inSync) ?? replicas[0];
    return successor === undefined ? [] : [{ from, successor }];
  });
  return heirs.slice(0, Math.max(0, wanted));
}

/** Nodes that can become masters: those first that are about to, then those in no shard, then replicas of the largest shards. */
function candidates(free: readonly NodeView[], declared: readonly NodeView[]): NodeView[] {
  const followers = (id: string | undefined): number => declared.filter((view) => ownMember(view).masterId === id).length;
  const rank = (view: NodeView): number => {
    const { masterId } = ownMember(view);
    if (masterId !== undefined) return 1000 - followers(masterId);
    return followers(view.id) > 0 ? 0 : isAlone(view) ? 2 : 1;
  };
  const ranked = free.map((view) => ({ view, rank: rank(view) })).sort((a, b) => a.rank - b.rank);
  return ranked.map(({ view }) => view);
}

function assignReplicas(declared: readonly NodeView[], masters: readonly NodeView[], takeOver: readonly TakeOver[], replicasPerMaster: number): Follow[] {
  const places = new Map(masters.map((view) => [view.id, view]));
  for (const { from, successor } of takeOver) places.set(from.id, successor);
  const counts = new Map(masters.map((view) => [view, 0]));
  const count = (master: NodeView): number => counts.get(master)!;
  const spare = declared.filter((view) => !masters.includes(view)).filter((view) => {
    const master = places.get(ownMember(view).masterId ?? "");
    if (master === undefined || count(master) >= replicasPerMaster) return true;
    counts.set(master, count(master) + 1);
    return false;
  });
  return spare.flatMap((replica): Follow[] => {
    const wanting = masters.filter((master) => count(master) < replicasPerMaster);
    // A replica on its master's own machine is lost with it.
    const [master] = wanting.sort((a, b) => count(a) - count(b) || Number(a.node.host === replica.node.host) - Number(b.node.host === replica.node.host));
    if (master === undefined) return [];
    counts.set(master, count(master) + 1);
    return [{ replica, master, surplus: places.has(ownMember(replica).masterId ?? "") }];
  });
}

function ownsSlots(view: NodeView): boolean {
  return ownMember(view).slots > 0;
}
