import assert from "node:assert/strict";
import { test } from "node:test";
import { plot } from "./plot.ts";
import type { SummaryRow } from "./report.ts";

const row = (cell: string, peer: string, requestsPerSecond: number, cpuMicros?: number): SummaryRow => ({ cell, peer, requestsPerSecond, cpuMicros, ratioToDirect: 1, p50Ms: 1, p99Ms: 1, residentMib: 1 });

test("a plot has a bar for each peer of each load, in proportion within the load", () => {
  const rows = [row("GET, one", "a", 100), row("GET, one", "b", 50), row("GET, two", "a", 9_000), row("GET, two", "b", 9_000)];
  const svg = plot(rows, { title: "Rate", unit: "<&>", value: ({ requestsPerSecond }) => requestsPerSecond });
  const heights = [...svg.matchAll(/<rect x="\d+" y="[\d.]+" width="22" height="([\d.]+)"/g)].map(([, height]) => Number(height));
  assert.deepEqual(heights, [220, 110, 220, 220]);
  assert.match(svg, /&lt;&amp;>/);
});

test("a peer without a value has no bar and no place", () => {
  const rows = [row("GET", "direct", 100), row("GET", "proxy", 50, 3)];
  const svg = plot(rows, { title: "CPU", unit: "us", value: ({ cpuMicros }) => cpuMicros });
  assert.ok(svg.includes(">proxy<") && !svg.includes(">direct<"));
});
