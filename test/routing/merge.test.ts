import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeReplies } from "../../proxy/routing/merge.ts";

const drawn = (replies: readonly string[]): string[] => {
  const buffers = replies.map((reply) => Buffer.from(reply));
  // One of three is not drawn in so many tries once in 10^35 runs.
  return [...new Set(Array.from({ length: 200 }, () => mergeReplies("anyValue", buffers).toString()))].sort();
};

test("a random key is one of any master's that has some", () => {
  assert.deepEqual(drawn(["$1\r\na\r\n", "$-1\r\n", "$1\r\nb\r\n", "$1\r\nc\r\n"]), ["$1\r\na\r\n", "$1\r\nb\r\n", "$1\r\nc\r\n"]);
  assert.deepEqual(drawn(["$-1\r\n", "$-1\r\n"]), ["$-1\r\n"]);
});
