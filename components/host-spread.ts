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
