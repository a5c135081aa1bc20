import assert from "node:assert/strict";
import { test } from "node:test";
import type { Operation } from "./support/history.ts";
import { faultOfRegister } from "./support/registers.ts";

type Outcome = Operation["outcome"];
const write = (value: string, invokedAt: number, respondedAt: number, outcome: Outcome = "done"): Operation => ({ client: 1, key: "k", kind: "write", value, invokedAt, respondedAt, outcome });
const read = (value: string | null, invokedAt: number, respondedAt: number): Operation => ({ client: 2, key: "k", kind: "read", value, invokedAt, respondedAt, outcome: "done" });

for (const [sentence, operations] of [
  ["nothing at all", []],
  ["a read of nothing before the first write", [read(null, 0, 1), write("a", 2, 3), read("a", 4, 5)]],
  ["a read during a write, of either value", [write("a", 0, 1), write("b", 2, 9), read("a", 3, 4), read("b", 5, 6)]],
  ["two writes side by side, in the order that the reads show", [write("a", 0, 9), write("b", 0, 9), read("b", 10, 11)]],
  ["a write of unknown fate that happens later", [write("a", 0, 1), write("b", 2, 3, "unknown"), read("a", 4, 5), read("b", 6, 7)]],
  ["a write of unknown fate that never happens", [write("a", 0, 1), write("b", 2, 3, "unknown"), read("a", 4, 5)]],
  ["a write that was refused", [write("a", 0, 1), write("b", 2, 3, "refused"), read("a", 4, 5)]],
] as const) {
  test(`linearizable: ${sentence}`, () => {
    assert.equal(faultOfRegister(operations), undefined);
  });
}

for (const [sentence, operations] of [
  ["a lost write", [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)]],
  ["a write that is lost altogether", [write("a", 0, 1), read(null, 2, 3)]],
  ["a value that comes back", [write("a", 0, 1), write("b", 2, 3), read("b", 4, 5), read("a", 6, 7)]],
  ["a read before its write", [read("a", 0, 1), write("a", 2, 3)]],
  ["a value that nobody wrote", [write("a", 0, 1), read("x", 2, 3)]],
  ["a refused write that happened all the same", [write("a", 0, 1), write("b", 2, 3, "refused"), read("b", 4, 5)]],
  ["two values that take turns", [write("a", 0, 9), write("b", 0, 9), read("a", 10, 11), read("b", 12, 13), read("a", 14, 15)]],
  ["a write of unknown fate that happens and is undone", [write("a", 0, 1), write("b", 2, 3, "unknown"), read("b", 4, 5), read("a", 6, 7)]],
] as const) {
  test(`not linearizable: ${sentence}`, () => {
    assert.notEqual(faultOfRegister(operations), undefined);
  });
}

test("where any value may have been there at first, one may be read before the first write, and no second", () => {
  assert.equal(faultOfRegister([read("old", 0, 1), write("a", 2, 3), read("a", 4, 5)], "anything"), undefined);
  assert.notEqual(faultOfRegister([read("old", 0, 1), read("older", 2, 3)], "anything"), undefined);
  assert.notEqual(faultOfRegister([write("a", 0, 1), read("old", 2, 3)], "anything"), undefined);
});
