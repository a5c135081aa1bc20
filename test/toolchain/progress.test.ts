import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { type EngineEvent, EventLog } from "../../toolchain/commands/lib/engine-events.ts";
import { changedAnything, errorsIn, Progress } from "../../toolchain/commands/lib/progress.ts";

function urn(type: string, name: string): string {
  return `urn:pulumi:dev::redis-access::redis-access:index:RedisNode$${type}::${name}`;
}

function step(op: string, name: string, type = "redisaccess:index:File", diffs: readonly string[] | null = null): EngineEvent {
  return { resOutputsEvent: { metadata: { op, type, urn: urn(type, name), diffs } } };
}

function message(severity: string, text: string, about?: string): EngineEvent {
  return { diagnosticEvent: { severity, message: text, ...(about === undefined ? {} : { urn: about }) } };
}

/** The lines of an operation with these events and no others. */
function describeProgress(events: readonly EngineEvent[]): string[] {
  const progress = new Progress();
  return [...progress.add(events), ...progress.finish()];
}

test("a step that only looks, or leaves a resource as it is, is not told", () => {
  assert.deepEqual(describeProgress([step("same", "a"), step("read", "b"), step("refresh", "c"), {}]), []);
});

test("a mended resource is told by its name, and by what differed", () => {
  const events = [step("update", "node-server.key", undefined, ["mode", "owner"]), step("create", "node-pem-bundle.cas"), step("delete", "node-old.crt")];
  assert.deepEqual(describeProgress(events), ["  changed node-server.key (mode, owner)", "  made node-pem-bundle.cas", "  removed node-old.crt"]);
});

test("many resources at a time are counted", () => {
  const events = Array.from({ length: 40 }, (_, index) => step("create", `file-${index}`));
  assert.deepEqual(describeProgress(events), ["  made 40 resources"]);
});

test("many resources are counted too where they come one by one: gathered for a while, named only if they stay few", () => {
  let now = 0;
  const progress = new Progress(() => now);
  const lines: string[] = [];
  for (let index = 0; index < 90; index++, now += 100) lines.push(...progress.add([step("create", `file-${index}`)]));
  lines.push(...progress.add([]), ...progress.finish());
  assert.equal(lines.length, 5, lines.join("\n"));
  assert.equal(lines.map((line) => Number(/^ {2}made (\d+) resources$/.exec(line)?.[1])).reduce((sum, count) => sum + count, 0), 90);
});

test("few resources are named, after two seconds at the latest", () => {
  let now = 0;
  const progress = new Progress(() => now);
  assert.deepEqual(progress.add([step("create", "a")]), []);
  now = 2_000;
  assert.deepEqual(progress.add([]), ["  made a"]);
  assert.deepEqual(progress.add([step("delete", "b")]), []);
  assert.deepEqual(progress.finish(), ["  removed b"]);
});

test("what people wait for is told by itself, after what it needed", () => {
  const type = "redisaccess:index:Process";
  const events = [step("create", "node-process", type), ...Array.from({ length: 9 }, (_, index) => step("create", `file-${index}`))];
  assert.deepEqual(describeProgress(events), ["  made 9 resources", "  node: runs"]);
  assert.deepEqual(describeProgress([step("update", "node-process", type, ["state"])]), ["  node: runs again (state)"]);
  assert.deepEqual(describeProgress([step("delete", "node-process", type)]), ["  node: stopped"]);
});

test("a program that was told what has changed is not said to run again", () => {
  const type = "redisaccess:index:Process";
  const updated = (before: object, after: object): EngineEvent => ({ resOutputsEvent: { metadata: { op: "update", type, urn: urn(type, "node-process"), diffs: ["reloadOn", "nodeDeclaration", "drift"], old: { outputs: { ...before } }, new: { outputs: { ...after } } } } });
  assert.deepEqual(describeProgress([updated({ state: "running", pid: 7 }, { state: "running", pid: 7 })]), ["  node: goes on running (what it reads, configuration)"]);
  assert.deepEqual(describeProgress([updated({ state: "running", pid: 7 }, { state: "running", pid: 8 })]), ["  node: runs again (what it reads, configuration)"]);
  assert.deepEqual(describeProgress([updated({ state: "stopped", pid: 0 }, { state: "running", pid: 8 })]), ["  node: runs again (what it reads, configuration)"]);
});

test("a replacement is told once", () => {
  const events = ["delete-replaced", "replace", "create-replacement"].map((op) => step(op, "leaf"));
  assert.deepEqual(describeProgress(events), ["  replaced leaf"]);
});

test("every message but the engine's own trace is told in full, with what it is about", () => {
  const events = [
    message("debug", "Registering resource"),
    message("error", "<{%reset%}>redis-server did not become ready.\nThe end of its log:\nBad directive<{%reset%}>\n", urn("redisaccess:index:Process", "node-process")),
    message("warning", "nearly full"),
    message("info#err", "from the program\n"),
  ];
  assert.deepEqual(describeProgress(events), [
    "error: node-process: redis-server did not become ready.\nThe end of its log:\nBad directive",
    "warning: nearly full",
    "  from the program",
  ]);
  assert.equal(errorsIn(events).length, 1);
});

test("only what changes the world counts as a change", () => {
  assert.equal(changedAnything({ same: 5, read: 1, refresh: 2, create: 0 }), false);
  assert.equal(changedAnything({ same: 5, update: 1 }), true);
  assert.equal(changedAnything({ same: 5, delete: 1 }), true);
});

test("an event log is read as it grows, whole lines only, whatever is cut in two", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "events-"));
  try {
    const file = path.join(directory, "events.jsonl");
    const log = new EventLog(file);
    assert.deepEqual(log.read(), [], "before there is a file");
    const events = [message("info", "größer"), message("info", "x".repeat(100_000)), step("same", "a")];
    const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    const cut = bytes.indexOf("ö") + 1;
    writeFileSync(file, bytes.subarray(0, cut));
    assert.deepEqual(log.read(), []);
    appendFileSync(file, bytes.subarray(cut));
    assert.deepEqual(log.read(), events);
    assert.deepEqual(log.read(), []);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
