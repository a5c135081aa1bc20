import assert from "node:assert/strict";
import { test } from "node:test";
import { curvePlot } from "./curve-plot.ts";

test("what grows in proportion is a straight line, and each peer has its own", () => {
  const points = [1, 10, 100].map((x) => ({ x, values: new Map([["a", 3 * x], ["b", 7]]) }));
  const svg = curvePlot(points, { title: "Cost", xAxis: "pipeline", unit: "us" });
  const lines = [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, places]) => places!.split(" ").map((place) => place.split(",").map(Number) as [number, number]));
  assert.equal(lines.length, 2);
  const [[x0, y0], [x1, y1], [x2, y2]] = lines[0] as [[number, number], [number, number], [number, number]];
  assert.ok(Math.abs((y1 - y0) / (x1 - x0) - (y2 - y1) / (x2 - x1)) < 1e-2 && y2 < y0);
  assert.equal(new Set(lines[1]!.map(([, y]) => y)).size, 1);
});

test("a peer without a value somewhere has no point there", () => {
  const svg = curvePlot([{ x: 1, values: new Map([["a", 1]]) }, { x: 2, values: new Map([["a", 2], ["b", 2]]) }], { title: "", xAxis: "", unit: "" });
  assert.equal([...svg.matchAll(/<circle/g)].length, 3);
});
