import assert from "node:assert/strict";
import { test } from "node:test";
import { cellArguments, cellName, parseCsv } from "./load.ts";

const heading = '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"\n';

test("the rate and latencies are read off redis-benchmark's CSV", () => {
  const row = '"GET","31196.40","1.412","0.088","0.671","5.231","8.951","22.015"\n';
  assert.deepEqual(parseCsv(`WARNING: Could not fetch server CONFIG\n${heading}${row}`), { requestsPerSecond: 31196.4, p50Ms: 0.671, p99Ms: 8.951 });
});

test("a command given as arguments may hold commas in the name of its row", () => {
  const row = '"MGET key:__rand_int__ a,b","1000.00","1.000","0.100","0.200","0.300","0.400","0.500"\n';
  assert.equal(parseCsv(heading + row).requestsPerSecond, 1000);
});

test("output without a row is an error that shows it", () => {
  assert.throws(() => parseCsv(`${heading}Error: connection refused\n`), /no result.*connection refused/s);
});

test("a cell is named by all that makes its load", () => {
  assert.equal(cellName({ command: "GET", bytes: 64, pipeline: 16, connections: 50, requests: 1 }), "GET 64 B, pipeline 16, 50 connections");
});

test("a GET reads keys that a SET of the same size has written, and no others", () => {
  const of = (command: "GET" | "SET", bytes: number): string[] => cellArguments({ command, bytes, pipeline: 1, connections: 1, requests: 1 }, false);
  const key = (args: readonly string[]): string => args.find((arg) => arg.includes("__rand_int__"))!;
  assert.equal(key(of("GET", 64)), key(of("SET", 64)));
  assert.notEqual(key(of("GET", 64)), key(of("GET", 4_096)));
});

test("large values are fewer, so that all fit into memory", () => {
  const keys = (bytes: number): number => Number(cellArguments({ command: "GET", bytes, pipeline: 1, connections: 1, requests: 1 }, false).at(5 + 2));
  assert.deepEqual([keys(64), keys(1_048_576)], [100_000, 256]);
});

test("where redis-benchmark routes by itself, it is given a hash tag to choose", () => {
  assert.equal(cellArguments({ command: "GET", bytes: 64, pipeline: 1, connections: 1, requests: 1 }, true).at(-1), "{tag}64:__rand_int__");
});
