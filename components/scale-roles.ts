import { isAlone, ownMember } from "./formation-plan.ts";
import type { NodeView } from "./formation-plan.ts";
import { dealReplicas, exchangeGain, membersOf, planExchanges } from "./host-spread.ts";
import type { Exchange, Place } from "./host-spread.ts";

/** A replica that takes the place of its master, which leaves: no slot has to be moved for it. */
export interface TakeOver {
  readonly from: NodeView;
  readonly successor: NodeView;
}

/** A node that is to replicate a master. */
export interface Follow {
  readonly replica: NodeView;
  readonly master: NodeView;
  /** Whether it replicates a master now that has enough without it, all of them in sync. */
  readonly surplus: boolean;
}

/** Who is to be what. */
export interface Roles {
  /** In the declared order; a successor among them stands for the master whose place it takes. */
  readonly masters: readonly NodeView[];
  readonly takeOver: readonly TakeOver[];
  readonly follow: readonly Follow[];
  /** Replicas that change places when all that is done, because of their hosts. */
  readonly exchange: readonly Exchange[];
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
  return { masters, takeOver, ...assignReplicas(declared, masters, takeOver, goal.replicasPerMaster) };
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

function assignReplicas(declared: readonly NodeView[], masters: readonly NodeView[], takeOver: readonly TakeOver[], replicasPerMaster: number): Pick<Roles, "follow" | "exchange"> {
  const places = masters.map((master): Place => ({ master, replicas: [] }));
  const placeOf = (id: string | undefined): Place | undefined => {
    const heir = takeOver.find(({ from }) => from.id === id)?.successor;
    return places.find(({ master }) => (heir === undefined ? master.id === id : master === heir));
  };
  const others = declared.filter((view) => !masters.includes(view));
  const before = new Map(others.map((view) => [view, placeOf(ownMember(view).masterId)]));
  for (const [view, place] of before) place?.replicas.push(view);
  dealReplicas(places, others.filter((view) => before.get(view) === undefined), replicasPerMaster);
  spreadNewcomers(places, before);
  const follow = others.flatMap((replica): Follow[] => {
    const [from, to] = [before.get(replica), places.find(({ replicas }) => replicas.includes(replica))];
    if (to === undefined || to === from) return [];
    const left = declared.filter((view) => view !== replica && from !== undefined && placeOf(ownMember(view).masterId) === from && from.replicas.includes(view));
    return [{ replica, master: to.master, surplus: from !== undefined && left.length >= replicasPerMaster && (!replica.inSync || left.every(({ inSync }) => inSync)) }];
  });
  // With a node that is not there yet nothing can be said of it.
  return { follow, exchange: places.every(({ replicas }) => replicas.length === replicasPerMaster) ? planExchanges(places) : [] };
}

/**
 * Has newcomers change places with replicas that are in place, where fewer share shard and host then. The newcomer copies first, so
 * that nobody is without a replica meanwhile; what else there is to be exchanged comes when all slots are where they belong
 * (topology.ts).
 */
function spreadNewcomers(places: readonly Place[], before: ReadonlyMap<NodeView, Place | undefined>): void {
  for (const from of places) {
    for (const [index, newcomer] of from.replicas.entries()) {
      if (ownMember(newcomer).masterId !== undefined || ownsSlots(newcomer)) continue;
      const options = places.filter((to) => to !== from).flatMap((to) => to.replicas.filter((partner) => before.get(partner) === to && ownMember(partner).masterId === to.master.id).map((partner) => ({ to, partner, gain: exchangeGain(newcomer, membersOf(from), partner, membersOf(to)) })));
      const [best] = options.sort((a, b) => b.gain - a.gain);
      if (best === undefined || best.gain <= 0) continue;
      best.to.replicas[best.to.replicas.indexOf(best.partner)] = newcomer;
      from.replicas[index] = best.partner;
    }
  }
}

function ownsSlots(view: NodeView): boolean {
  return ownMember(view).slots > 0;
}
