import assert from "node:assert/strict";
import { test } from "node:test";
import { BackOff } from "../../proxy/workers/back-off.ts";
import { chooseWorker } from "../../proxy/workers/choose-worker.ts";

test("the worker with the fewest sockets gets the next client", () => {
  const [a, b, c] = [3, 1, 2].map((sockets) => ({ sockets, silentSince: undefined as number | undefined }));
  assert.equal(chooseWorker([a!, b!, c!], 0), b);
  assert.equal(chooseWorker([a!].slice(1), 0), undefined);
});

test("a worker that does not take what it was handed gets none while another does, and all where no other is", () => {
  const hanging = { sockets: 0, silentSince: 1_000 };
  const busy = { sockets: 100, silentSince: 2_900 };
  assert.equal(chooseWorker([hanging, busy], 3_000), busy);
  assert.equal(chooseWorker([busy, hanging], 3_000), busy);
  assert.equal(chooseWorker([hanging], 3_000), hanging);
  assert.equal(chooseWorker([hanging, busy], 1_500), hanging, "a moment is no silence");
});

test("a worker that dies again and again is replaced ever more slowly, and soon again once one has lived", () => {
  const backOff = new BackOff();
  const delays = Array.from({ length: 9 }, () => backOff.next(50));
  assert.deepEqual(delays, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  assert.equal(backOff.next(60_000), 100);
  assert.equal(backOff.next(50), 200);
});
