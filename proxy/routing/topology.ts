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
  /** Pairs of first and last slot, both included. Slots on their way are not listed. */
  readonly slots: readonly (readonly [number, number])[];
  /** Whether slots are on their way to it, and the ids of the nodes that slots of it are on their way to. A node says so of itself only. */
  readonly importing: boolean;
  readonly migratingTo: readonly string[];
}

/** Which master answers for which slot. Masters are named by index, so that a request costs two array reads. */
export interface Topology {
  readonly masters: readonly Address[];
  /** Masters that own no slot, while some are on their way to them: they have keys by then, and answer for those that are asked for by ASK. */
  readonly guests: readonly Address[];
  /** Index into `masters` by slot; -1 where nobody owns the slot. */
  readonly owners: Int16Array;
}

/** A topology in which one address owns every slot: a standalone server. */
export function standaloneTopology(address: Address): Topology {
  return { masters: [address], guests: [], owners: new Int16Array(SLOTS) };
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
        importing: slots.some((slot) => /^\[\d+-<-/.test(slot)),
        migratingTo: slots.flatMap((slot) => /^\[\d+->-(\w+)\]$/.exec(slot)?.[1] ?? []),
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
 *
 * @param before the guests that were known: they stay while they cannot say for themselves, as long as nobody thinks that they fail
 */
export function mergeViews(views: readonly (readonly ClusterNode[])[], before: readonly Address[] = []): Topology {
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
  return withoutIdle({ masters, guests: guestsOf(views, before), owners });
}

function guestsOf(views: readonly (readonly ClusterNode[])[], before: readonly Address[]): Address[] {
  const masters = new Map<string, Address>();
  const failing = new Set<string>();
  const asked = new Set<string>();
  const wanted = new Set<string>();
  for (const view of views) {
    for (const node of view) {
      const key = addressKey(node);
      if (!node.flags.has("master") || node.flags.has("noaddr") || node.flags.has("handshake")) continue;
      masters.set(key, { host: node.host, port: node.port });
      if (node.flags.has("fail") || node.flags.has("fail?")) failing.add(key);
      if (node.flags.has("myself")) asked.add(key);
      if (node.importing) wanted.add(key);
      for (const id of node.migratingTo) for (const target of view) if (target.id === id) wanted.add(addressKey(target));
    }
  }
  for (const key of before.map(addressKey)) if (!asked.has(key) && !failing.has(key)) wanted.add(key);
  return [...masters].flatMap(([key, address]) => (wanted.has(key) ? [address] : []));
}

/** `topology` with `slot` given to `owner`, as a MOVED redirection says. */
export function moveSlot(topology: Topology, slot: number, owner: Address): Topology {
  const key = addressKey(owner);
  const masters = [...topology.masters];
  let index = masters.findIndex((master) => addressKey(master) === key);
  if (index < 0) index = masters.push(owner) - 1;
  const owners = topology.owners.slice();
  owners[slot] = index;
  return withoutIdle({ masters, guests: topology.guests, owners });
}

/** Whether the two send every slot to the same address, and know of the same guests. */
export function sameTopology(a: Topology, b: Topology): boolean {
  if (a === b) return true;
  if (a.guests.map(addressKey).sort().join() !== b.guests.map(addressKey).sort().join()) return false;
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

/** A part of the keys: all that one master had when it was looked at. */
export interface Shard {
  /** Its first slot; 0 for a guest. */
  readonly slot: number;
  /** Keys come to it from others: asked when those have answered, it has what they have no more. Asked before, it would not have it yet. */
  readonly late: boolean;
  /** Who has it by a later topology. "nobody": none of its slots has gone to another shard, but they have no owner just now; "gone": other shards have it all. */
  readonly masterBy: (now: Topology) => Address | "nobody" | "gone";
}

/**
 * The shards that all keys are in, in the order of their slots, guests' last.
 *
 * @param receivers of slots, lately, as `addressKey` writes them
 */
export function shardsOf(topology: Topology, receivers: ReadonlySet<string> = new Set()): Shard[] {
  const { masters, guests, owners } = topology;
  const known = new Set([...masters, ...guests].map(addressKey));
  const firstSlots = new Map<number, number>();
  for (let slot = 0; slot < SLOTS; slot++) if (owners[slot]! >= 0 && !firstSlots.has(owners[slot]!)) firstSlots.set(owners[slot]!, slot);
  const masterBy = (index: number, now: Topology): Address | "nobody" | "gone" => {
    if (answersIn(now, masters[index]!)) return masters[index]!;
    let unowned = false;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (owners[slot] !== index) continue;
      const heir = ownerOf(now, slot);
      // A replica has taken its place: one that was no other shard's master. With those are slots that had moved before.
      if (heir !== undefined && !known.has(addressKey(heir))) return heir;
      unowned ||= heir === undefined;
    }
    return unowned ? "nobody" : "gone";
  };
  return [
    ...[...firstSlots].map(([index, slot]): Shard => ({ slot, late: receivers.has(addressKey(masters[index]!)), masterBy: (now) => masterBy(index, now) })),
    ...guests.map((guest): Shard => ({ slot: 0, late: true, masterBy: (now) => (answersIn(now, guest) ? guest : "gone") })),
  ];
}

/**
 * Which masters slots were moved from and to, as `addressKey` writes them: from those that have a part of the keys still. Where one has
 * not, a replica has taken over.
 */
export function movesBetween(before: Topology, now: Topology): { from: Set<string>; to: Set<string> } {
  const [former, present] = [before.masters.map(addressKey), now.masters.map(addressKey)];
  const there = new Set([...present, ...now.guests.map(addressKey)]);
  const [from, to] = [new Set<string>(), new Set<string>()];
  for (let slot = 0; slot < SLOTS; slot++) {
    const [giver, receiver] = [former[before.owners[slot]!], present[now.owners[slot]!]];
    if (giver === receiver || giver === undefined || receiver === undefined || !there.has(giver)) continue;
    from.add(giver);
    to.add(receiver);
  }
  return { from, to };
}

/** Whether the node at `address` has a part of the keys. */
export function answersIn({ masters, guests }: Topology, address: Address): boolean {
  const key = addressKey(address);
  return [...masters, ...guests].some((master) => addressKey(master) === key);
}

/** Masters that own no slot are nobody's destination; they would only be counted among "all masters". Nor is one a guest that owns some. */
function withoutIdle({ guests: all, ...topology }: Topology): Topology {
  const used = new Set(topology.owners);
  const owning = new Set(topology.masters.flatMap((master, index) => (used.has(index) ? [addressKey(master)] : [])));
  const guests = all.filter((guest) => !owning.has(addressKey(guest)));
  if (owning.size === topology.masters.length) return { ...topology, guests };
  const kept = topology.masters.flatMap((_, index) => (used.has(index) ? [index] : []));
  const renumbered = new Map(kept.map((index, position) => [index, position]));
  return {
    masters: kept.map((index) => topology.masters[index]!),
    guests,
    owners: topology.owners.map((owner) => renumbered.get(owner) ?? -1),
  };
}
