import { listSlots } from "./slot-ranges.ts";

/** A node that owns slots, or is to own some. */
export interface SlotHolder {
  readonly id: string;
  /** What it owns now, in any order. */
  readonly slots: readonly number[];
  /** Whether it is to own slots in the end; who does not gives all of them away. */
  readonly stays: boolean;
}

/** Slots that go from one node to another. */
export interface SlotTransfer {
  readonly from: string;
  readonly to: string;
  /** In ascending order. */
  readonly slots: readonly number[];
}

/**
 * The fewest moves after which all that stay own the same number of slots, give or take one. Deterministic, and the same moves
 * again, without those already made, when it is asked in the middle of them.
 */
export function balanceSlots(holders: readonly SlotHolder[]): SlotTransfer[] {
  const staying = holders.filter(({ stays }) => stays);
  const total = holders.reduce((sum, { slots }) => sum + slots.length, 0);
  const share = Math.floor(total / staying.length);
  const larger = total % staying.length;
  // Whoever has most keeps the odd ones: nothing is moved for their sake.
  const ranked = [...staying].sort((a, b) => b.slots.length - a.slots.length);
  const shares = new Map(ranked.map(({ id }, rank) => [id, rank < larger ? share + 1 : share]));
  const spare = holders.flatMap(({ id, slots }) => ascending(slots).slice(shares.get(id) ?? 0).map((slot) => ({ from: id, slot })));
  const places = staying.flatMap(({ id, slots }) => Array.from({ length: Math.max(0, shares.get(id)! - slots.length) }, () => id));
  return gather(spare.map(({ from, slot }, index) => ({ from, to: places[index]!, slot })));
}

/**
 * The moves after which each shard has the slots that it had before; undefined where the shards cannot be told by who owns most
 * of each.
 * @param layout the slots of each shard, such as `0-5460`
 */
export function restoreSlots(holders: readonly SlotHolder[], layout: readonly string[]): SlotTransfer[] | undefined {
  const owners = new Map(holders.flatMap(({ id, slots }) => slots.map((slot) => [slot, id] as const)));
  const staying = new Set(holders.filter(({ stays }) => stays).map(({ id }) => id));
  const shards = layout.map(listSlots).map((slots) => ({ slots, owner: mostFrequent(slots.flatMap((slot) => owners.get(slot) ?? [])) }));
  const masters = new Set(shards.flatMap(({ owner }) => (owner !== undefined && staying.has(owner) ? [owner] : [])));
  if (masters.size < staying.size || shards.length !== staying.size) return undefined;
  return gather(shards.flatMap(({ slots, owner }) => slots.flatMap((slot) => {
    const from = owners.get(slot);
    return from === undefined || from === owner ? [] : [{ from, to: owner!, slot }];
  })));
}

function gather(moves: readonly { readonly from: string; readonly to: string; readonly slot: number }[]): SlotTransfer[] {
  const transfers = Map.groupBy(moves, ({ from, to }) => `${from} ${to}`);
  return [...transfers.values()].map((group) => ({ from: group[0]!.from, to: group[0]!.to, slots: ascending(group.map(({ slot }) => slot)) }));
}

function mostFrequent(ids: readonly string[]): string | undefined {
  const groups = [...Map.groupBy(ids, (id) => id)].sort(([, a], [, b]) => b.length - a.length);
  return groups[0]?.[0];
}

function ascending(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}
