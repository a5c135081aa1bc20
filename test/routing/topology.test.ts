import assert from "node:assert/strict";
import { test } from "node:test";
import type { Topology } from "../../proxy/routing/topology.ts";
import { mergeViews, moveSlot, movesBetween, parseClusterNodes, sameTopology, shardsOf } from "../../proxy/routing/topology.ts";

/** What a node says: `5 master,fail 3 0-99 [7->-6]` is the node at port 5 with configuration epoch 3; `*` marks who says it. */
function view(...lines: string[]): ReturnType<typeof parseClusterNodes> {
  const text = lines.map((line) => {
    const [port, flags, epoch, ...slots] = line.split(" ");
    const owner = (flags!.includes("slave") ? "m" : "-");
    return `id${port!} 127.0.0.1:${port!}@1 ${flags!.replace("*", "myself,")} ${owner} 0 0 ${epoch!} connected ${slots.join(" ")}`;
  });
  return parseClusterNodes(text.join("\n"), "127.0.0.1");
}

const ports = (addresses: readonly { port: number }[]): number[] => addresses.map(({ port }) => port);
const askedBy = (then: Topology, now: Topology): unknown[] => shardsOf(then).map(({ masterBy }) => {
  const master = masterBy(now);
  return typeof master === "string" ? master : master.port;
});

test("a master without slots has a part of the keys while slots are on their way to it, whichever of both nodes says so", () => {
  const [source, target] = ["1 *master 1 0-16383 [7->-id2]", "2 *master 0 [7-<-id1]"];
  const open = mergeViews([view(source, "2 master 0")]);
  assert.deepEqual([ports(open.masters), ports(open.guests)], [[1], [2]]);
  assert.deepEqual(ports(mergeViews([view(target, "1 master 1 0-16383")]).guests), [2]);
  assert.ok(sameTopology(open, mergeViews([view(target, "1 master 1 0-16383")])));
  const closed = mergeViews([view("1 *master 1 0-16383", "2 master 0")]);
  assert.deepEqual(ports(closed.guests), []);
  assert.ok(!sameTopology(open, closed));
});

test("one that cannot say for itself, as it is busy, keeps its part; one that says no, fails or owns slots does not", () => {
  const before = [{ host: "127.0.0.1", port: 2 }];
  const other = "1 *master 1 0-16383";
  assert.deepEqual(ports(mergeViews([view(other, "2 master 0")], before).guests), [2]);
  assert.deepEqual(ports(mergeViews([view(other, "2 master 0"), view("2 *master 0")], before).guests), []);
  assert.deepEqual(ports(mergeViews([view(other, "2 master,fail? 0")], before).guests), []);
  assert.deepEqual(ports(mergeViews([view(other, "2 slave 0")], before).guests), []);
  assert.deepEqual(ports(mergeViews([view(other)], before).guests), []);
  const open = mergeViews([view("1 *master 1 0-16383 [7->-id2]", "2 master 0")]);
  const moved = moveSlot(open, 7, { host: "127.0.0.1", port: 2 });
  assert.deepEqual([ports(moved.masters), ports(moved.guests)], [[1, 2], []]);
});

test("a shard is its master's, whatever slots have moved, and then that of the replica in its place", () => {
  const then = mergeViews([view("1 *master 1 0-99", "2 master 2 100-16383", "3 slave 1")]);
  assert.deepEqual(shardsOf(then).map(({ slot }) => slot), [0, 100]);
  assert.deepEqual(askedBy(then, then), [1, 2]);
  // The first slots have moved: those of the shard of 1 are still with 1, or with 3.
  assert.deepEqual(askedBy(then, mergeViews([view("1 *master 1 50-99", "2 master 2 0-49 100-16383")])), [1, 2]);
  assert.deepEqual(askedBy(then, mergeViews([view("1 *slave 3", "2 master 2 0-49 100-16383", "3 master 3 50-99")])), [3, 2]);
});

test("a shard whose slots have all gone to other masters is gone; one whose slots nobody owns just now is not", () => {
  const then = mergeViews([view("1 *master 1 0-99 [7->-id4]", "2 master 2 100-16383", "4 master 0")]);
  assert.deepEqual(askedBy(then, then), [1, 2, 4]);
  assert.deepEqual(askedBy(then, mergeViews([view("2 *master 2 0-16383")])), ["gone", 2, "gone"]);
  assert.deepEqual(askedBy(then, mergeViews([view("2 *master 2 0-49 100-16383", "4 master 4 50-98")])), ["nobody", 2, 4]);
});

test("a master that slots have moved to is told from a replica that has taken over", () => {
  const before = mergeViews([view("1 *master 1 0-99", "2 master 2 100-16383", "3 slave 1")]);
  const moves = (...lines: string[]): string[] => {
    const { from, to } = movesBetween(before, mergeViews([view(...lines)]));
    return [[...from].join(), [...to].join()];
  };
  assert.deepEqual(moves("1 *master 1 10-99", "2 master 2 0-9 100-16383"), ["127.0.0.1:1", "127.0.0.1:2"]);
  assert.deepEqual(moves("1 *slave 3", "2 master 2 100-16383", "3 master 3 0-99"), ["", ""]);
  assert.deepEqual(moves("1 *slave 3", "2 master 2 0-9 100-16383", "3 master 3 10-99"), ["", ""]);
  const late = (receivers: string[]): boolean[] => shardsOf(before, new Set(receivers)).map((shard) => shard.late);
  assert.deepEqual(late(["127.0.0.1:2", "127.0.0.1:9"]), [false, true]);
  const open = mergeViews([view("1 *master 1 0-16383 [7->-id2]", "2 master 0")]);
  assert.deepEqual(shardsOf(open).map((shard) => shard.late), [false, true]);
});
