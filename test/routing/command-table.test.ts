import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandReply } from "../../proxy/routing/command-table.ts";

test("a server before Redis 7.0 says by category only that a command may wait: it must not be taken for a simple one", () => {
  const [blpop] = parseCommandReply([["blpop", -3, ["write", "noscript"], 1, -2, 1, ["@write", "@list", "@slow", "@blocking"]]], new Set());
  assert.equal(blpop?.blocking, true);
  assert.equal(blpop.simple, false);
});
