import { SLOTS } from "./slot.ts";

/** Where a node is reached. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One line of CLUSTER NODES (Redis commands reference, CLUSTER NODES). */
export interface ClusterNode extends Address {
  readonly id: string;
  /** The name it announces, where it has one (`cluster-announce-hostname`): MOVED may say it in place of the address. */
  readonly hostname: string | undefined;
  readonly flags: ReadonlySet<string>;
  readonly masterId: string | undefined;
  readonly epoch: number;
  /** Pairs of first and last slot, both included. Slots on their way (`[…]`) are not listed. */
  readonly slots: readonly (readonly [number, number])[];
}

/** Which master answers for which slot. Masters are named by index, so that a request costs two array reads. */
export interface Topology {
  readonly masters: readonly Address[];
  /** Index into `masters` by slot; -1 where nobody owns the slot. */
  readonly owners: Int16Array;
}

/** A topology in which one address owns every slot: a standalone server. */
export function standaloneTopology(address: Address): Topology {
  return { masters: [address], owners: new Int16Array(SLOTS) };
}

/** A node's address as text; also its key in maps. */
export function addressKey(address: Address): string {
  return `${address.host}:${address.port}`;
}

/**
 * Reads one node's CLUSTER NODES.
 *
 * @param from the host that answered: a node that does not know its own address yet lists itself without one
 * @throws TypeError where a line has not the form of the command
 */
export function parseClusterNodes(text: string, from: string): ClusterNode[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [id, endpoint, flags, master, , , epoch, , ...slots] = line.trim().split(" ");
      const match = /^([^,]*):(\d+)(?:@\d+)?(?:,([^,]*).*)?$/.exec(endpoint ?? "");
      if (id === undefined || flags === undefined || match === null || Number(match[2]) > 65_535) throw new TypeError(`CLUSTER NODES has an unknown form: ${line}`);
      return {
        id,
        hostname: match[3] === undefined || match[3] === "" ? undefined : match[3],
        host: match[1] === "" ? from : match[1]!,
        port: Number(match[2]),
        flags: new Set(flags.split(",")),
        masterId: master === "-" ? undefined : master,
        epoch: Number(epoch),
        slots: slots.flatMap(parseSlots),
      };
    });
}

function parseSlots(range: string): (readonly [number, number])[] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  return match === null ? [] : [[Number(match[1]), Number(match[2] ?? match[1])]];
}

/**
 * Makes one topology of what several nodes say. For each slot the claim with the highest configuration epoch wins, as between
 * the nodes themselves (Redis cluster specification, "Hash slots configuration propagation"), so a node that a partition left
 * behind cannot bring an old owner back.
 */
export function mergeViews(views: readonly (readonly ClusterNode[])[]): Topology {
  const owners = new Int16Array(SLOTS).fill(-1);
  const epochs = new Float64Array(SLOTS).fill(-1);
  const masters: Address[] = [];
  const indexes = new Map<string, number>();
  for (const view of views) {
    for (const node of view) {
      if (!node.flags.has("master") || node.flags.has("noaddr") || node.flags.has("handshake")) continue;
      const key = addressKey(node);
      for (const [first, last] of node.slots) {
        for (let slot = first; slot <= last && slot < SLOTS; slot++) {
          if (epochs[slot]! >= node.epoch) continue;
          let index = indexes.get(key);
          if (index === undefined) {
            index = masters.push({ host: node.host, port: node.port }) - 1;
            indexes.set(key, index);
          }
          epochs[slot] = node.epoch;
          owners[slot] = index;
        }
      }
    }
  }
  return withoutIdle({ masters, owners });
}

/** `topology` with `slot` given to `owner`, as a MOVED redirection says. */
export function moveSlot(topology: Topology, slot: number, owner: Address): Topology {
  const key = addressKey(owner);
  const masters = [...topology.masters];
  let index = masters.findIndex((master) => addressKey(master) === key);
  if (index < 0) index = masters.push(owner) - 1;
  const owners = topology.owners.slice();
  owners[slot] = index;
  return withoutIdle({ masters, owners });
}

/** Whether the two send every slot to the same address. */
export function sameTopology(a: Topology, b: Topology): boolean {
  for (let slot = 0; slot < SLOTS; slot++) {
    const [x, y] = [ownerOf(a, slot), ownerOf(b, slot)];
    if (x === y) continue;
    if (x === undefined || y === undefined || addressKey(x) !== addressKey(y)) return false;
  }
  return true;
}

/** The master that owns `slot`, if one does. */
export function ownerOf(topology: Topology, slot: number): Address | undefined {
  const index = topology.owners[slot]!;
  return index < 0 ? undefined : topology.masters[index];
}

/** A slot of each master: what names a shard while its master changes. */
export function representativeSlots(topology: Topology): number[] {
  const slots: number[] = [];
  const seen = new Set<number>();
  for (let slot = 0; slot < SLOTS; slot++) {
    const owner = topology.owners[slot]!;
    if (owner < 0 || seen.has(owner)) continue;
    seen.add(owner);
    slots.push(slot);
  }
  return slots;
}

/** Masters that own no slot are nobody's destination; they would only be counted among "all masters". */
function withoutIdle(topology: Topology): Topology {
  const used = new Set(topology.owners);
  if (topology.masters.every((_, index) => used.has(index))) return topology;
  const kept = topology.masters.flatMap((_, index) => (used.has(index) ? [index] : []));
  const renumbered = new Map(kept.map((index, position) => [index, position]));
  return {
    masters: kept.map((index) => topology.masters[index]!),
    owners: topology.owners.map((owner) => renumbered.get(owner) ?? -1),
  };
}
