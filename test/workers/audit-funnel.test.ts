import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { AuditLog } from "../../proxy/access/audit.ts";
import { AuditFunnel } from "../../proxy/workers/audit-funnel.ts";
import { AuditPipe } from "../../proxy/workers/audit-pipe.ts";
import { waitFor } from "../support/wait-for.ts";

const NO_KEYS = { bytes: Buffer.alloc(0), ranges: [], count: 0 };

/** The two ends of a pipe, which passes bytes on in pieces. */
function pipe(): [Duplex, Duplex] {
  const ends: Duplex[] = [0, 1].map((i) => new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      const cut = Math.floor(chunk.length / 3);
      for (const piece of [chunk.subarray(0, cut), chunk.subarray(cut)]) ends[1 - i]!.push(Buffer.from(piece));
      setImmediate(done);
    },
    final: (done) => {
      ends[1 - i]!.push(null);
      done();
    },
  }));
  return [ends[0]!, ends[1]!];
}

async function makeFunnel(context: TestContext, name = "audit.log"): Promise<{ file: string; funnel: AuditFunnel }> {
  const directory = mkdtempSync(join(tmpdir(), "redis-access-funnel-"));
  context.after(() => {
    rmSync(directory, { recursive: true });
  });
  const file = name.startsWith("/") ? name : join(directory, name);
  return { file, funnel: await AuditFunnel.open(file) };
}

function logOver(funnel: AuditFunnel, onFailure: "stop" | "count" = "stop"): { log: AuditLog; end: Duplex } {
  const [near, far] = pipe();
  funnel.attach(far);
  return { log: AuditLog.over("audit.log", new AuditPipe(near), { onFailure, flushMs: 1, retryMs: 20 }), end: near };
}

function lines(file: string): Record<string, unknown>[] {
  return readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("what several processes write stands in one file line by line, each one's in its order, over a rotation", async (context) => {
  const { file, funnel } = await makeFunnel(context);
  const logs = [1, 2, 3].map(() => logOver(funnel).log);
  const count = 3_000;
  for (let i = 0; i < count; i++) {
    logs.forEach((log, one) => {
      log.command(one, `command-${i}`, NO_KEYS, "ok", i);
    });
    if (i % 500 === 250) await new Promise((resolve) => setImmediate(resolve));
    if (i === count / 2) {
      renameSync(file, `${file}.1`);
      await funnel.reopen();
    }
  }
  await Promise.all(logs.map((log) => log.close()));
  await funnel.close();
  const all = [...lines(`${file}.1`), ...lines(file)];
  assert.equal(all.length, logs.length * count);
  for (const one of logs.keys()) {
    const own = all.filter(({ session }) => session === one).map(({ command }) => command);
    assert.deepEqual(own, Array.from({ length: count }, (_, i) => `command-${i}`));
  }
  assert.deepEqual(logs.map(({ counters }) => counters), logs.map(() => ({ written: count, lost: 0, failures: 0 })));
});

test("a process that dies in the middle of a batch leaves the whole lines of it, and nobody's line is torn", async (context) => {
  const { file, funnel } = await makeFunnel(context);
  const [near, far] = pipe();
  funnel.attach(far);
  const batch = Buffer.from('{"a":1}\n{"a":2}\n{"a":3');
  const header = Buffer.alloc(4);
  header.writeUInt32LE(1_000);
  near.write(Buffer.concat([header, batch]));
  const { log } = logOver(funnel);
  await waitFor("the half batch has arrived", 5_000, () => far.readableLength === 0 && near.writableLength === 0);
  far.destroy();
  log.command(7, "get", NO_KEYS, "ok", 1);
  await waitFor("the other process's line is there", 5_000, () => lines(file).some(({ session }) => session === 7));
  assert.deepEqual(lines(file).slice(0, 2), [{ a: 1 }, { a: 2 }]);
  assert.equal(lines(file).length, 3);
  await log.close();
  await funnel.close();
});

test("where the file takes nothing, each process hears of it, and its policy decides", async (context) => {
  const { funnel } = await makeFunnel(context, "/dev/full");
  const [stopping, counting] = [logOver(funnel).log, logOver(funnel, "count").log];
  for (const log of [stopping, counting]) log.command(1, "get", NO_KEYS, "ok", 1);
  await waitFor("both have heard of it", 5_000, () => [stopping, counting].every((log) => log.health().detail.problem !== undefined));
  assert.match(String(stopping.health().detail.problem), /audit\.log cannot be written: ENOSPC/);
  assert.deepEqual([stopping.accepting, counting.accepting], [false, true]);
  assert.equal(funnel.health().ok, false);
  assert.equal(stopping.counters.written, 0);
  await Promise.all([stopping.close(), counting.close()]);
  assert.deepEqual([stopping.counters.lost, counting.counters.lost], [1, 1]);
  await funnel.close();
});

test("what the file did not take is written once, when there is one that takes it", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "redis-access-funnel-"));
  context.after(() => {
    rmSync(directory, { recursive: true });
  });
  const file = join(directory, "audit.log");
  symlinkSync("/dev/full", file);
  const funnel = await AuditFunnel.open(file);
  const { log } = logOver(funnel);
  for (let i = 0; i < 3; i++) log.command(1, `command-${i}`, NO_KEYS, "ok", 1);
  await waitFor("it has been tried more than once", 10_000, () => log.counters.failures > 2);
  rmSync(file);
  await funnel.reopen();
  await waitFor("it is written", 5_000, () => log.counters.written === 3);
  assert.deepEqual(lines(file).map(({ command }) => command), ["command-0", "command-1", "command-2"]);
  assert.deepEqual([log.accepting, log.health().ok, funnel.health().ok], [true, true, true]);
  await log.close();
  await funnel.close();
});
