import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sample } from "./load.ts";
import { latencyTable, summarize, table } from "./report.ts";
import { median } from "./statistics.ts";

function sample(requestsPerSecond: number, cpuMicros?: number): Sample {
  return { requestsPerSecond, cpuMicros, p50Ms: 1, p99Ms: 2, residentKib: cpuMicros === undefined ? undefined : 2048 };
}

test("the median of an even count lies between the two in the middle", () => {
  assert.equal(median([9, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test("ratios to direct are taken round by round, so that what slows one round slows both", () => {
  const samples = new Map([
    [
      "GET",
      new Map([
        ["direct", [sample(100), sample(10), sample(1000)]],
        ["proxy", [sample(50, 3), sample(6, 5), sample(400, 4)]],
      ]),
    ],
  ]);
  const [direct, proxy] = summarize(samples);
  assert.deepEqual([direct!.ratioToDirect, direct!.cpuMicros, direct!.residentMib], [1, undefined, undefined]);
  assert.deepEqual([proxy!.ratioToDirect, proxy!.cpuMicros, proxy!.residentMib, proxy!.requestsPerSecond], [0.5, 4, 2, 50]);
});

test("without the direct connection there are no ratios", () => {
  assert.equal(summarize(new Map([["GET", new Map([["proxy", [sample(50, 3)]]])]]))[0]!.ratioToDirect, undefined);
});

test("the table's columns are aligned, and what was not measured is blank", () => {
  const lines = table(summarize(new Map([["GET", new Map([["direct", [sample(100)]], ["proxy", [sample(50, 3)]]])]]))).split("\n");
  assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  assert.match(lines[2]!, /\| direct +\| +100 \| +1\.00 \| +\|/);
  assert.match(lines[3]!, /\| proxy +\| +50 \| +0\.50 \| +3\.00 \|/);
});

test("latencies at a steady rate are medians, a row for each peer", () => {
  const run = (p99Ms: number) => ({ requestsPerSecond: 1_000, p50Ms: 0.5, p99Ms, p999Ms: 9, generatorP99Ms: 0.1 });
  const lines = latencyTable(new Map([["direct", [run(1), run(7), run(2)]]])).split("\n");
  assert.equal(lines.length, 3);
  assert.match(lines[2]!, /^\| direct \| +1000 \| +0\.50 \| +2\.00 \| +9\.00 \| +0\.10 \|$/);
});
