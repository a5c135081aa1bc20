import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { balanceSlots, restoreSlots } from "../../components/slot-balance.ts";
import type { SlotHolder, SlotTransfer } from "../../components/slot-balance.ts";

const range = (from: number, until: number): number[] => Array.from({ length: until - from }, (_, index) => from + index);

function apply(holders: readonly SlotHolder[], transfers: readonly SlotTransfer[]): SlotHolder[] {
  return holders.map((holder) => {
    const given = new Set(transfers.filter(({ from }) => from === holder.id).flatMap(({ slots }) => slots));
    const taken = transfers.filter(({ to }) => to === holder.id).flatMap(({ slots }) => slots);
    return { ...holder, slots: [...holder.slots.filter((slot) => !given.has(slot)), ...taken] };
  });
}

const counts = (transfers: readonly SlotTransfer[]): string[] => transfers.map(({ from, to, slots }) => `${slots.length} ${from}-${to}`);
const three: readonly SlotHolder[] = [
  { id: "a", slots: range(0, 5461), stays: true },
  { id: "b", slots: range(5461, 10_923), stays: true },
  { id: "c", slots: range(10_923, 16_384), stays: true },
];

test("a fourth master gets a quarter, from each a third of it", () => {
  assert.deepEqual(counts(balanceSlots([...three, { id: "d", slots: [], stays: true }])), ["1365 a-d", "1366 b-d", "1365 c-d"]);
});

test("a master that leaves gives all that it has, to each a third of it", () => {
  const four = apply([...three, { id: "d", slots: [], stays: true }], balanceSlots([...three, { id: "d", slots: [], stays: true }]));
  assert.deepEqual(counts(balanceSlots(four.map((holder) => ({ ...holder, stays: holder.id !== "d" })))), ["1366 d-a", "1365 d-b", "1365 d-c"]);
});

test("shards that were disturbed get back what they had, and nothing else moves", () => {
  const layout = ["0-5460", "5461-10922", "10923-16383"];
  assert.deepEqual(restoreSlots(three, layout), []);
  const disturbed = apply([...three, { id: "d", slots: [], stays: false }], [{ from: "a", to: "d", slots: [3, 4] }, { from: "b", to: "c", slots: [6000] }]);
  assert.deepEqual(restoreSlots(disturbed, layout), [{ from: "d", to: "a", slots: [3, 4] }, { from: "c", to: "b", slots: [6000] }]);
});

test("what had been a shard cannot be told where one node owns most of two", () => {
  const merged = apply(three, [{ from: "c", to: "b", slots: range(10_923, 16_384) }]);
  assert.equal(restoreSlots(merged, ["0-5460", "5461-10922", "10923-16383"]), undefined);
});

test("whoever owns what: the fewest moves, equal shares give or take one, and the same ones left when cut off anywhere", () => {
  const holders = fc
    .record({ cuts: fc.array(fc.integer({ min: 0, max: 16_384 }), { maxLength: 7 }), staying: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }) })
    .map(({ cuts, staying }): SlotHolder[] => {
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), 16_384];
      return bounds.slice(1).map((until, index) => ({ id: String(index), slots: range(bounds[index]!, until), stays: index === 0 || staying[index]! }));
    });
  fc.assert(
    fc.property(holders, fc.nat(), (start, part) => {
      const transfers = balanceSlots(start);
      const end = apply(start, transfers);
      const sizes = end.filter(({ stays }) => stays).map(({ slots }) => slots.length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
      assert.deepEqual(end.filter(({ stays, slots }) => !stays && slots.length > 0), []);
      assert.deepEqual(end.flatMap(({ slots }) => slots).sort((a, b) => a - b), range(0, 16_384));
      const moved = transfers.reduce((sum, { slots }) => sum + slots.length, 0);
      const share = Math.floor(16_384 / sizes.length);
      const above = start.reduce((sum, { stays, slots }) => sum + Math.max(0, slots.length - (stays ? share : 0)), 0);
      const keepsOdd = start.filter(({ stays, slots }) => stays && slots.length > share).length;
      assert.equal(moved, above - Math.min(16_384 % sizes.length, keepsOdd));

      const halfway = apply(start, transfers.map((transfer) => ({ ...transfer, slots: transfer.slots.slice(0, part % (transfer.slots.length + 1)) })));
      const left = balanceSlots(halfway).reduce((sum, { slots }) => sum + slots.length, 0);
      const done = transfers.reduce((sum, { slots }) => sum + (part % (slots.length + 1)), 0);
      assert.equal(left, moved - done);
      assert.deepEqual(balanceSlots(end), []);
    }),
    { numRuns: 200 },
  );
});
