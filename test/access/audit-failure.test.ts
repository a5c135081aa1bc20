import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, rmdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { AuditLog } from "../../proxy/access/audit.ts";
import { CHUNK_BYTES } from "../../proxy/access/audit-chunk.ts";
import { directory, eventsOf, keysOf, opened, parsed, until } from "./support/audit.ts";
import type { AuditEvent } from "./support/audit.ts";

const KIB = 1_024;
const MOST = 512 * KIB;
const KEYS = keysOf(Buffer.from("user:profile:100"));

/** Writes commands whose durations are their numbers. */
function commands(audit: AuditLog, from: number, count: number): number {
  for (let i = from; i < from + count; i++) audit.command(1, "set", KEYS, "ok", i);
  return from + count;
}

/** A path at which the disk is full until `mend` is called. */
async function fullDisk(t: TestContext): Promise<{ file: string; mend: () => Promise<void> }> {
  const file = join(await directory(t), "audit.log");
  await symlink("/dev/full", file);
  return { file, mend: () => rm(file) };
}

/** The numbers of the commands; where some were lost, that line's count as `lost n`. */
function story(events: readonly AuditEvent[]): (number | string)[] {
  return events.map((event) => (event.event === "lost" ? `lost ${String(event.count)}` : (event.micros as number)));
}

/** Numbers from `from` up to, not including, `to`. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** What a story must be: the first events, one gap, and the last events, without a hole that no line speaks of. */
function assertOneGap(events: readonly AuditEvent[], total: number): void {
  const told = story(events);
  const gap = told.findIndex((item) => typeof item === "string");
  const lost = Number(/^lost (\d+)$/.exec(String(told[gap]))?.[1]);
  assert.ok(lost > 0, "there is a line that says how many were lost");
  assert.deepEqual(told, [...range(0, gap), `lost ${lost}`, ...range(gap + lost, total)]);
}

describe("an audit whose disk fails, with the policy stop", () => {
  test("accepts nothing until writing works again, and then has all that had happened", async (t) => {
    const { file, mend } = await fullDisk(t);
    const changes: (string | undefined)[] = [];
    const audit = await opened(t, file, { onFailure: "stop", onChange: (problem) => changes.push(problem) });
    assert.equal(audit.accepting, true);
    let next = commands(audit, 0, 10);
    await until(() => !audit.accepting, "accepting is false");
    const { ok, detail } = audit.health();
    assert.equal(ok, false);
    assert.equal(detail.problem, `the audit file ${file} cannot be written: ENOSPC`);
    next = commands(audit, next, 10);
    await until(() => audit.counters.failures >= 3, "it tries again");
    assert.equal(audit.accepting, false);
    await mend();
    await audit.reopen();
    await until(() => audit.accepting, "accepting is true");
    next = commands(audit, next, 10);
    await until(() => audit.counters.written === next, "all is written, the last ones by the timer");
    assert.deepEqual(audit.health(), { ok: true, detail: { ...audit.counters, bufferedBytes: 0, accepting: true, problem: undefined } });
    assert.deepEqual(story(await eventsOf(file)), range(0, next));
    assert.deepEqual(changes, [`the audit file ${file} cannot be written: ENOSPC`, undefined]);
    assert.equal(audit.counters.lost, 0);
  });

  test("keeps no more than twice its bound of what comes nevertheless, and says how much was lost", async (t) => {
    const { file, mend } = await fullDisk(t);
    const audit = await opened(t, file, { onFailure: "stop", maxBufferedBytes: MOST });
    const next = commands(audit, 0, 50_000);
    await until(() => audit.counters.failures > 0, "a write fails");
    assert.ok(audit.health().detail.bufferedBytes <= 2 * MOST + CHUNK_BYTES);
    assert.ok(audit.counters.lost > 0);
    await mend();
    await audit.reopen();
    await until(() => audit.accepting, "accepting is true");
    const last = commands(audit, next, 10);
    await audit.close();
    assertOneGap(await eventsOf(file), last);
  });

  test("accepts nothing while the disk does not keep up, and loses nothing of what was on its way", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file, { onFailure: "stop", maxBufferedBytes: MOST });
    let next = 0;
    while (audit.accepting) next = commands(audit, next, 1);
    next = commands(audit, next, 100);
    assert.equal(audit.health().ok, false);
    assert.equal(audit.behind, true);
    const told = new Promise<boolean>((resolve) => {
      audit.onceNotBehind(() => {
        resolve(audit.accepting);
      });
    });
    assert.equal(await told, true);
    assert.equal(audit.health().ok, true);
    await audit.close();
    assert.deepEqual(story(await eventsOf(file)), range(0, next));
  });
});

describe("an audit whose disk fails, with the policy count", () => {
  test("goes on, in bounded memory, and has one line for the gap, where the gap is", async (t) => {
    const { file, mend } = await fullDisk(t);
    const audit = await opened(t, file, { onFailure: "count", maxBufferedBytes: MOST });
    let next = 0;
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 500; i++) {
      next = commands(audit, next, 1_000);
      assert.equal(audit.accepting, true);
      assert.ok(audit.health().detail.bufferedBytes <= MOST + CHUNK_BYTES);
      await turn();
    }
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 60 * KIB * KIB, `memory grew by ${grown} bytes; the events alone would take ${next * 200}`);
    const { ok, detail } = audit.health();
    assert.equal(ok, false);
    assert.match(detail.problem!, /ENOSPC/);
    await mend();
    await audit.reopen();
    await until(() => audit.health().ok, "all is well again");
    next = commands(audit, next, 10);
    await audit.close();
    const events = await eventsOf(file);
    assertOneGap(events, next);
    const { count, since, time } = events.find(({ event }) => event === "lost")!;
    assert.equal(count, audit.counters.lost);
    assert.ok((since as string) <= time);
    assert.equal(audit.counters.written + audit.counters.lost, next);
  });

  test("has the line for the gap though no event follows", async (t) => {
    const { file, mend } = await fullDisk(t);
    const audit = await opened(t, file, { onFailure: "count", maxBufferedBytes: MOST });
    const next = commands(audit, 0, 10_000);
    await until(() => audit.counters.failures > 0, "a write fails");
    await mend();
    await audit.reopen();
    await until(() => audit.health().ok && audit.health().detail.bufferedBytes === 0, "all is in the file");
    assertOneGap(await eventsOf(file), next);
  });

  test("ends in time though nothing can be written, and counts what is left as lost", { timeout: 10_000 }, async (t) => {
    const { file } = await fullDisk(t);
    const audit = await opened(t, file, { onFailure: "count" });
    commands(audit, 0, 5_000);
    await audit.close();
    assert.equal(audit.counters.written, 0);
    assert.equal(audit.counters.lost, 5_000);
    commands(audit, 5_000, 1);
    assert.equal(audit.counters.lost, 5_001);
  });
});

/** A file system of 2 MiB, or undefined where this user may mount none. */
async function tinyDisk(t: TestContext): Promise<string | undefined> {
  const path = await mkdtemp(join(tmpdir(), "redis-access-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", path], { stdio: "ignore" });
  } catch {
    await rmdir(path);
    return undefined;
  }
  t.after(async () => {
    execFileSync("umount", ["--lazy", path]);
    await rmdir(path);
  });
  return path;
}

/** Writes commands, never many at once, until there is no room for more. @returns how many */
async function fill(audit: AuditLog): Promise<number> {
  let next = 0;
  while (audit.counters.failures === 0) {
    next = commands(audit, next, 211);
    await until(() => audit.counters.failures > 0 || audit.health().detail.bufferedBytes === 0, "the disk has it, or fails");
  }
  return next;
}

describe("an audit on a file system that runs full", () => {
  for (const onFailure of ["stop", "count"] as const) {
    test(`goes on in the middle of the line where it had to end, once there is room (${onFailure})`, async (t) => {
      const disk = await tinyDisk(t);
      if (disk === undefined) {
        t.skip("needs the right to mount a file system");
        return;
      }
      await writeFile(join(disk, "ballast"), Buffer.alloc(1_000 * KIB));
      const file = join(disk, "audit.log");
      const audit = await opened(t, file, { onFailure, flushMs: 1 });
      let next = await fill(audit);
      assert.notEqual((await readFile(file)).at(-1), 0x0a, "a line is broken off");
      assert.equal(audit.accepting, onFailure === "count");
      await rm(join(disk, "ballast"));
      await until(() => audit.health().ok, "all is well again");
      next = commands(audit, next, 10);
      await audit.close();
      assert.deepEqual(story(await eventsOf(file)), range(0, next));
    });
  }

  test("has every line whole in one of two files where it is rotated while full", async (t) => {
    const disk = await tinyDisk(t);
    if (disk === undefined) {
      t.skip("needs the right to mount a file system");
      return;
    }
    const elsewhere = join(await directory(t), "audit.log");
    const link = join(await directory(t), "link.log");
    await symlink(join(disk, "audit.log"), link);
    const audit = await opened(t, link, { flushMs: 1 });
    let next = await fill(audit);
    await rm(link);
    await symlink(elsewhere, link);
    await audit.reopen();
    await until(() => audit.accepting, "accepting is true");
    next = commands(audit, next, 10);
    await audit.close();
    const first = await readFile(join(disk, "audit.log"));
    const whole = parsed(first.subarray(0, first.lastIndexOf(0x0a) + 1));
    assert.ok(first.at(-1) !== 0x0a, "a line is broken off in the first file");
    assert.deepEqual(story([...whole, ...(await eventsOf(elsewhere))]), range(0, next));
  });
});
