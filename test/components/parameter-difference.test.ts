import assert from "node:assert/strict";
import { test } from "node:test";
import { compareParameters, describeParameter } from "../../components/parameter-difference.ts";

const reference = { values: new Map([["maxmemory", "0"], ["port", "0"], ["databases", "16"], ["requirepass", ""], ["replica-priority", "100"], ["slave-priority", "100"], ["replicaof", ""], ["dir", "/tmp"], ["lua-time-limit", "5000"], ["busy-reply-threshold", "5000"]]), fixed: new Set(["databases", "dir"]) };

test("every parameter counts, declared or not; a node's own value goes before the reference's", () => {
  const live = new Map([...reference.values, ["maxmemory", "100"], ["databases", "8"], ["dir", "/data"]]);
  assert.deepEqual(compareParameters(reference, new Map([["dir", "/data"]]), live), [
    { name: "maxmemory", declared: "0", actual: "100", fixed: false },
    { name: "databases", declared: "16", actual: "8", fixed: true },
  ]);
});

test("a parameter with two names is told once, and a role is no parameter", () => {
  const live = new Map([...reference.values, ["replica-priority", "1"], ["slave-priority", "1"], ["lua-time-limit", "1"], ["busy-reply-threshold", "1"], ["replicaof", "127.0.0.1 7001"]]);
  assert.deepEqual(compareParameters(reference, new Map(), live).map(({ name }) => name), ["replica-priority", "busy-reply-threshold"]);
});

test("a secret is named by its hash", () => {
  const finding = describeParameter({ name: "requirepass", declared: "", actual: "hunter2", fixed: false });
  assert.deepEqual(finding, { thing: "parameter requirepass", declared: "(empty)", actual: "sha256 f52fbd32b2b3…", mend: "live" });
});
