import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandTable, parseCommandReply } from "../../proxy/routing/command-table.ts";
import { planCluster } from "../../proxy/routing/plan.ts";
import { planStandalone } from "../../proxy/routing/plan-standalone.ts";
import { GUIDE_PROFILE } from "../../proxy/routing/profile.ts";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { FrameReader } from "../../proxy/resp/frame-reader.ts";

const table = new CommandTable(
  parseCommandReply(
    [
      ["xread", -4, ["readonly", "movablekeys"], 0, 0, 0, ["@blocking"]],
      ["xreadgroup", -7, ["write", "movablekeys"], 0, 0, 0, ["@blocking"]],
    ],
    GUIDE_PROFILE.special,
  ),
);

for (const [command, kind] of [
  ["XREAD BLOCK 0 STREAMS s $", "wait"],
  ["XREAD COUNT 1 STREAMS block 0", "forward"],
  ["XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "wait"],
  ["XREADGROUP GROUP streams c BLOCK 0 STREAMS s >", "wait"],
  ["XREADGROUP GROUP g streams NOACK BLOCK 0 STREAMS s >", "wait"],
  ["XREADGROUP BLOCK 0 GROUP streams streams STREAMS s >", "wait"],
  ["XREADGROUP GROUP block block STREAMS s >", "forward"],
] as const) {
  test(`${command} ${kind === "wait" ? "may wait: it holds up nobody else's requests" : "does not wait"}`, () => {
    const bytes = encodeCommand(command.split(" "));
    const request = new FrameReader();
    request.read(bytes, 0);
    assert.equal(planCluster(request, table, GUIDE_PROFILE).kind, kind);
  });
}

test("an argument that is too long to be a string is planned like any other: the largest that Redis takes is longer than one of V8", () => {
  const bytes = Buffer.concat([Buffer.from("*2\r\n$4\r\nECHO\r\n$536870912\r\n"), Buffer.alloc(536_870_912), Buffer.from("\r\n")]);
  const request = new FrameReader();
  request.read(bytes, 0);
  assert.deepEqual(planStandalone(request, GUIDE_PROFILE, false), { kind: "forward", slot: undefined, readonly: false });
  assert.equal(planCluster(request, table, GUIDE_PROFILE).kind, "unknown");
});

for (const [command, kind] of [
  ["CLIENT SETINFO LIB-NAME redis-py", "forward"],
  ["client setinfo lib-ver 8.1", "forward"],
  ["CLIENT SETNAME x", "own"],
  ["CLIENT ID", "own"],
  ["CLIENT", "own"],
  ["SELECT 1", "own"],
  ["GET client|setinfo", "forward"],
] as const) {
  test(`${command} before a standalone server ${kind === "own" ? "takes a connection of the client's own" : "goes by the shared connection"}`, () => {
    const request = new FrameReader();
    request.read(encodeCommand(command.split(" ")), 0);
    assert.equal(planStandalone(request, GUIDE_PROFILE, false).kind, kind);
  });
}
