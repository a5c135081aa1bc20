import assert from "node:assert/strict";
import { test } from "node:test";
import type { MetricFamily } from "../../proxy/server/metrics.ts";
import { lastingFamilies, mergeMetrics } from "../../proxy/workers/merge-metrics.ts";

const counter = (values: Readonly<Record<string, number>>): MetricFamily => ({
  name: "commands_total",
  help: "h",
  type: "counter",
  samples: Object.entries(values).map(([command, value]) => ({ labels: { command, database: "d" }, value })),
});
const gauge = (name: string, value: number, across?: "least" | "greatest"): MetricFamily => ({
  ...{ name, help: "h", type: "gauge" },
  samples: [{ labels: {}, value }],
  ...(across !== undefined && { across }),
});

test("samples of the same labels are added up, whatever the labels' order, and others stand beside each other", () => {
  const swapped: MetricFamily = { ...counter({}), samples: [{ labels: { database: "d", command: "get" }, value: 5 }] };
  const [merged, ...others] = mergeMetrics([[counter({ get: 1, set: 2 })], [counter({ get: 10, ping: 3 })], [swapped]]);
  assert.equal(others.length, 0);
  assert.deepEqual(merged!.samples.map(({ labels, value }) => [labels["command"], value]), [["get", 16], ["set", 2], ["ping", 3]]);
});

test("a histogram's buckets, sum and count are added up each for itself", () => {
  const histogram = (bucket: number, sum: number, count: number): MetricFamily => ({
    ...{ name: "seconds", help: "h", type: "histogram" },
    samples: [
      { labels: { le: "1" }, value: bucket, suffix: "_bucket" },
      { labels: { le: "+Inf" }, value: count, suffix: "_bucket" },
      { labels: {}, value: sum, suffix: "_sum" },
      { labels: {}, value: count, suffix: "_count" },
    ],
  });
  const [merged] = mergeMetrics([[histogram(1, 0.5, 2)], [histogram(3, 1.5, 4)]]);
  assert.deepEqual(merged!.samples.map(({ value }) => value), [4, 6, 2, 6]);
});

test("a family that says so shows the least or the greatest of the processes' values", () => {
  const merged = mergeMetrics([1, 0].map((value) => [gauge("ready", value, "least"), gauge("masters", value + 2, "greatest"), gauge("open", value)]));
  assert.deepEqual(merged.map(({ name, samples }) => [name, samples[0]!.value]), [["ready", 0], ["masters", 3], ["open", 1]]);
});

test("of a process that has ended counters stay and gauges go", () => {
  assert.deepEqual(lastingFamilies([counter({ get: 1 }), gauge("open", 1)]).map(({ name }) => name), ["commands_total"]);
});
