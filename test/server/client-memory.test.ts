import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toEvict } from "../../proxy/server/client-memory.ts";

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

test("those that hold most are evicted, no more of them than must be, and the others fit", () => {
  const clients = fc.array(fc.nat(1_000_000_000), { maxLength: 50 });
  fc.assert(
    fc.property(clients, fc.integer({ min: 1, max: 10_000_000_000 }), (bytes, most) => {
      const evicted = toEvict(bytes.entries(), ([, held]) => held, most);
      const gone = new Set(evicted.map(({ client: [index] }) => index));
      const left = bytes.filter((_, index) => !gone.has(index));
      assert.ok(sum(left) <= most);
      const last = evicted.at(-1);
      if (last === undefined) return;
      assert.ok(sum(left) + last.bytes > most, "one fewer would not do");
      assert.ok(left.every((held) => held <= last.bytes));
    }),
  );
});

test("without a bound nobody is evicted", () => {
  assert.deepEqual(toEvict([1e12, 2e12], (bytes) => bytes, 0), []);
});
