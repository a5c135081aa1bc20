import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { fromStruct, type Properties, type PropertyValue, reveal, sameValue, secret, toStruct } from "../../toolchain/bridge/lib/properties.ts";

const values = fc.letrec<{ value: PropertyValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.boolean(),
    fc.integer(),
    fc.string(),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

test("a value survives the way through a protobuf Struct", () => {
  fc.assert(
    fc.property(values, (value) => {
      assert.deepEqual(fromStruct(toStruct({ value })), { value });
    }),
  );
});

test("a secret is equal to its plain value, and revealing it gives that value back", () => {
  fc.assert(
    fc.property(values, (value) => {
      const nested: Properties = { list: [secret(value)] };
      assert.deepEqual(reveal(nested), { list: [value] });
      assert.ok(sameValue(nested, { list: [value] }));
    }),
  );
});

test("marking a secret twice marks it once", () => {
  assert.deepEqual(secret(secret("x")), secret("x"));
});

test("the order of keys makes no difference, the order of list items does", () => {
  assert.ok(sameValue({ a: 1, b: 2 }, { b: 2, a: 1 }));
  assert.ok(!sameValue([1, 2], [2, 1]));
});

test("an absent value equals null and nothing else", () => {
  assert.ok(sameValue(undefined, null));
  assert.ok(!sameValue(undefined, false));
  assert.ok(!sameValue(undefined, ""));
});
