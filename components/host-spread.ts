import type { NodeView } from "./formation-plan.ts";

/** The nodes that hold the same slots. */
export interface Shard {
  readonly master: NodeView;
  readonly replicas: readonly NodeView[];
}

/** Two replicas that change places. */
export interface Exchange {
  /** It shares a host with another member of its shard. */
  readonly replica: NodeView;
  /** The master that it is to replicate. */
  readonly to: NodeView;
  /** The replica of that master that comes in its place. */
  readonly partner: NodeView;
}

/** All nodes of a shard, its master first. */
export function membersOf({ master, replicas }: Shard): NodeView[] {
  return [master, ...replicas];
}

/** How many of the others are on a node's own host. A host is known by the IP address that its nodes are declared with. */
export function sharing(view: NodeView, members: readonly NodeView[]): number {
  return members.filter((other) => other !== view && other.node.host === view.node.host).length;
}

/**
 * The exchanges after which no other distribution has fewer pairs of nodes that share a shard and a host; none where that is so
 * already. Roles do not enter into it: a failover changes nothing. Pure, and deterministic.
 *
 * Each lowers the number of such pairs, so that they come to an end; and as long as the number is not the least, there is one. It is
 * least where every host's nodes are spread evenly over the shards, give or take one. Otherwise some shard has at least two more
 * nodes of a host than another one has, which for that has at least two more of other hosts. On either side one of them at most is
 * the master: two replicas are left that can change places.
 * @param shards of equal size
 */
export function planExchanges(shards: readonly Shard[]): Exchange[] {
  const places = shards.map(({ master, replicas }) => ({ master, replicas: [...replicas] }));
  const exchanges: Exchange[] = [];
  for (;;) {
    const best = bestExchange(places);
    if (best === undefined) return exchanges;
    const { replica, from, partner, to } = best;
    from.replicas[from.replicas.indexOf(replica)] = partner;
    to.replicas[to.replicas.indexOf(partner)] = replica;
    exchanges.push({ replica, to: to.master, partner });
  }
}

/**
 * By how many pairs that share shard and host there are fewer once two members of different shards have changed places.
 * @param replica a member of `from`
 * @param partner a member of `to`
 */
export function exchangeGain(replica: NodeView, from: readonly NodeView[], partner: NodeView, to: readonly NodeView[]): number {
  if (replica.node.host === partner.node.host) return 0;
  return sharing(replica, from) + sharing(partner, to) - sharing(replica, to) - sharing(partner, from);
}

/** A shard whose replicas are being dealt. */
export interface Place {
  readonly master: NodeView;
  readonly replicas: NodeView[];
}

/** A replica that goes to a shard which lacks one. */
export interface Deal {
  readonly replica: NodeView;
  /** Where it has been one too many; undefined for one that was in no shard. */
  readonly from: Place | undefined;
  readonly to: Place;
}

/**
 * Gives each shard the replicas that it lacks, of those that are in none and of those that others have too many of: one after the
 * other, each time that after which the fewest nodes share shard and host.
 * @param places are changed
 * @param prefer which of two to take that are alike in that, as of `sort`
 */
export function dealReplicas(places: readonly Place[], free: readonly NodeView[], replicasPerMaster: number, prefer: (a: NodeView, b: NodeView) => number = () => 0): Deal[] {
  const left = new Set(free);
  const deals: Deal[] = [];
  for (;;) {
    const wanting = places.filter(({ replicas }) => replicas.length < replicasPerMaster).sort((a, b) => a.replicas.length - b.replicas.length);
    const spare = places.filter(({ replicas }) => replicas.length > replicasPerMaster).flatMap((from) => from.replicas.toReversed().map((replica) => ({ replica, from, freed: sharing(replica, membersOf(from)) })));
    const options = [...spare, ...[...left].map((replica) => ({ replica, from: undefined, freed: 0 }))].flatMap((one) => wanting.map((to) => ({ ...one, to, added: sharing(one.replica, membersOf(to)) - one.freed })));
    const [best] = options.sort((a, b) => a.added - b.added || prefer(a.replica, b.replica));
    if (best === undefined) return deals;
    const { replica, from, to } = best;
    from?.replicas.splice(from.replicas.indexOf(replica), 1);
    left.delete(replica);
    to.replicas.push(replica);
    deals.push({ replica, from, to });
  }
}

function bestExchange(places: readonly Place[]): { replica: NodeView; from: Place; partner: NodeView; to: Place } | undefined {
  let best: { replica: NodeView; from: Place; partner: NodeView; to: Place } | undefined;
  let most = 0;
  for (const from of places) {
    const own = membersOf(from);
    for (const replica of from.replicas.filter((view) => sharing(view, own) > 0)) {
      for (const to of places.filter((place) => place !== from)) {
        const others = membersOf(to);
        for (const partner of to.replicas) {
          const gain = exchangeGain(replica, own, partner, others);
          if (gain <= most) continue;
          most = gain;
          best = { replica, from, partner, to };
        }
      }
    }
  }
  return best;
}
