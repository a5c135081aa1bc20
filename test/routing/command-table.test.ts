import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandTable, parseCommandReply } from "../../proxy/routing/command-table.ts";

test("a server before Redis 7.0 says by category only that a command may wait: it must not be taken for a simple one", () => {
  const [blpop] = parseCommandReply([["blpop", -3, ["write", "noscript"], 1, -2, 1, ["@write", "@list", "@slow", "@blocking"]]], new Set());
  assert.equal(blpop?.blocking, true);
  assert.equal(blpop.simple, false);
});

test("a name is found however it is spelled, whichever was looked for before it, and what the server says anew counts", () => {
  const entryOf = (name: string, arity: number): ReturnType<typeof parseCommandReply> => parseCommandReply([[name, arity, ["readonly"], 1, 1, 1, []]], new Set());
  const table = new CommandTable([...entryOf("get", 2), ...entryOf("set", -3), ...entryOf("getex", -2)]);
  const find = (name: string): string | undefined => {
    const bytes = Buffer.from(`..${name}..`);
    return table.find(bytes, 2, 2 + name.length)?.name;
  };
  for (const name of ["GET", "GET", "get", "SET", "GET", "GETEX", "GeT", "getex"]) assert.equal(find(name), name.toLowerCase());
  for (const name of ["GE", "", "GETE", "x".repeat(1_000)]) assert.equal(find(name), undefined);
  assert.equal(find("GET"), "get");
  table.add(entryOf("get", -2));
  assert.equal(table.find(Buffer.from("GET"), 0, 3)?.arity, -2);
  const long = "l".repeat(100);
  table.add(entryOf(long, 1));
  for (const name of [long, "GET", long]) assert.equal(find(name), name.toLowerCase());
});
