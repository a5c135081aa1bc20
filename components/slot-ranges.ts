/** Hash slots from one to another, both included. */
export type SlotRange = readonly [from: number, to: number];

/** Each slot of some ranges. */
export function slotsIn(ranges: readonly SlotRange[]): number[] {
  return ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
}

/** Slots as people write them: `0-5460`, `7`, `0-2, 4`. */
export function writeSlots(slots: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const slot of [...slots].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && slot === last[1] + 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(", ");
}

/** Reads what {@link writeSlots} has written. */
export function listSlots(text: string): number[] {
  return slotsIn(text.split(", ").map((range): SlotRange => {
    const [from = "", to = from] = range.split("-");
    return [Number(from), Number(to)];
  }));
}
