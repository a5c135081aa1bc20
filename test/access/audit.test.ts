import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { AuditLog } from "../../proxy/access/audit.ts";
import { AuditFileError } from "../../proxy/access/audit-file.ts";
import { directory, eventsOf, JANE, keysOf, opened, parsed, until } from "./support/audit.ts";
import type { AuditEvent } from "./support/audit.ts";

const key = (text: string): Buffer => Buffer.from(text);

/** The key's bytes, out of what the audit shows of a key that is not cut. */
function bytesOf(shown: unknown): Buffer {
  return typeof shown === "string" ? Buffer.from(shown) : Buffer.from((shown as { hex: string }).hex, "hex");
}

describe("the audit's lines", () => {
  test("say who did what, from where, at which database, with what outcome", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    audit.sessionStart({ ...JANE, roles: ["access", "ops"] });
    audit.command(1, "ping", keysOf(), "NOAUTH", 3);
    audit.authentication(1, "bob", false);
    audit.authentication(1, "alice", true);
    audit.command(1, "mset", keysOf(key("a"), key("b")), "ok", 345.6);
    audit.command(1, "config|set", keysOf(), "denied", 0);
    audit.command(1, "incr", keysOf(key("list")), "WRONGTYPE", 20);
    audit.sessionEnd(1, "closed", { commands: 4, denied: 1 });
    await audit.close();
    const events = await eventsOf(file);
    for (const { time } of events) assert.equal(time, new Date(time).toISOString());
    const who = { session: 1, user: "jane", remote: "127.0.0.1:50000", database: "example-redis" };
    const alice = { ...who, redisUser: "alice" };
    assert.deepEqual(
      events.map(({ time, ...event }) => (assert.ok(time), event)),
      [
        { event: "session_start", ...who, roles: ["access", "ops"] },
        { event: "command", ...who, command: "ping", keys: [], outcome: "NOAUTH", micros: 3 },
        { event: "authentication", ...who, redisUser: "bob", ok: false },
        { event: "authentication", ...alice, ok: true },
        { event: "command", ...alice, command: "mset", keys: ["a", "b"], outcome: "ok", micros: 346 },
        { event: "command", ...alice, command: "config|set", keys: [], outcome: "denied", micros: 0 },
        { event: "command", ...alice, command: "incr", keys: ["list"], outcome: "WRONGTYPE", micros: 20 },
        { event: "session_end", ...who, reason: "closed", commands: 4, denied: 1 },
      ],
    );
    assert.deepEqual(audit.counters, { written: 8, lost: 0, failures: 0 });
  });

  test("give any key's bytes back: as text where they are UTF-8, as hex where not", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    const special = ["", "plain", 'quote" back\\slash', "käse 🧀", "\r\n\t\0\u001b[31m\u007f\u009b\u2028\u2029", "\ufffd", "{hex}"].map(key);
    const broken = ["ff", "c3", "80", "eda080", "c0af", "f0808080", "61ff62", "f4908080"].map((hex) => Buffer.from(hex, "hex"));
    const random = fc.sample(fc.uint8Array({ maxLength: 256 }), 500).map((bytes) => Buffer.from(bytes));
    const texts = fc.sample(fc.string({ unit: "binary", maxLength: 60 }), 500).map(key);
    const keys = [...special, ...broken, ...random, ...texts];
    for (const one of keys) audit.command(1, "get", keysOf(one), "ok", 1);
    await audit.close();
    const shown = (await eventsOf(file)).map((event) => (event.keys as unknown[])[0]);
    assert.deepEqual(shown.map(bytesOf), keys);
    assert.ok(shown.slice(0, special.length).every((one) => typeof one === "string"));
    assert.deepEqual(shown.slice(special.length, special.length + broken.length), broken.map((one) => ({ hex: one.toString("hex") })));
  });

  test("hold no raw control character but their line feeds, whatever clients send", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    const nasty = 'x"}\r\n{"event":"forged"}\u0085\u2028\u009b31m\ud800';
    audit.sessionStart({ id: 1, user: nasty, roles: [nasty], remote: nasty, database: nasty });
    audit.authentication(1, nasty, true);
    audit.command(1, nasty, keysOf(key(nasty)), nasty, 1);
    audit.sessionEnd(1, nasty, { commands: 1, denied: 0 });
    await audit.close();
    const text = await readFile(file, "utf8");
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
    const events = await eventsOf(file);
    assert.deepEqual(events.map(({ event }) => event), ["session_start", "authentication", "command", "session_end"]);
    assert.ok(events.every(({ user }) => user === nasty));
  });

  test("cut long keys at a character's end, and say how long they are", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    const keys = ["x".repeat(1_000), "x".repeat(255) + "ä".repeat(400), "x".repeat(253) + "🧀".repeat(9), "x".repeat(256) + "ä"].map(key);
    keys.push(Buffer.alloc(300, 0xff), Buffer.alloc(300, 0x80), Buffer.alloc(256, 0x78));
    for (const one of keys) audit.command(1, "get", keysOf(one), "ok", 1);
    await audit.close();
    assert.deepEqual(
      (await eventsOf(file)).map((event) => (event.keys as unknown[])[0]),
      [
        { prefix: "x".repeat(256), bytes: 1_000 },
        { prefix: "x".repeat(255), bytes: 1_055 },
        { prefix: "x".repeat(253), bytes: 289 },
        { prefix: "x".repeat(256), bytes: 258 },
        { hex: "ff".repeat(256), bytes: 300 },
        { hex: "80".repeat(256), bytes: 300 },
        "x".repeat(256),
      ],
    );
  });

  test("count the keys that they do not name", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    const keys = Array.from({ length: 76 }, (_, i) => key(`k${i}`));
    audit.command(1, "mget", keysOf(...keys), "ok", 1);
    audit.command(1, "mget", keysOf(...keys.slice(0, 64)), "ok", 1);
    await audit.close();
    const events = await eventsOf(file);
    assert.deepEqual(events.map((event) => [(event.keys as unknown[]).length, event.more]), [[64, 12], [64, undefined]]);
    assert.deepEqual(events[0]!.keys, keys.slice(0, 64).map(String));
  });

  test("stay whole at their longest, one after the other", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    const long = "\u0000".repeat(5_000);
    audit.sessionStart({ id: 1, user: long, roles: Array.from({ length: 100 }, () => long), remote: long, database: long });
    audit.authentication(1, long, true);
    const keys = keysOf(...Array.from({ length: 200 }, () => Buffer.alloc(5_000)));
    for (let i = 0; i < 20; i++) audit.command(1, long, keys, long, Number.MAX_SAFE_INTEGER);
    await audit.close();
    const events = await eventsOf(file);
    assert.equal(events.length, 22);
    assert.ok(events.slice(2).every((event) => (event.keys as unknown[]).length === 64 && event.more === 136));
    assert.equal(events[0]!.more, 68);
  });

  test("have a whole number for every duration", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    for (const micros of [NaN, -1, Infinity, 0.4, 1e15]) audit.command(9, "get", keysOf(), "ok", micros);
    await audit.close();
    assert.deepEqual((await eventsOf(file)).map(({ micros }) => micros), [0, 0, 0, 0, 1e15]);
  });
});

describe("the audit's file", () => {
  test("is made for its owner only, whatever the umask; the mode of one that is there stays", async (t) => {
    const path = await directory(t);
    const before = process.umask(0);
    t.after(() => process.umask(before));
    await opened(t, join(path, "new.log"));
    assert.equal((await stat(join(path, "new.log"))).mode & 0o777, 0o600);
    await writeFile(join(path, "old.log"), "");
    await chmod(join(path, "old.log"), 0o640);
    await opened(t, join(path, "old.log"));
    assert.equal((await stat(join(path, "old.log"))).mode & 0o777, 0o640);
  });

  test("is appended to, on a new line where a broken one is the last", async (t) => {
    const file = join(await directory(t), "audit.log");
    await writeFile(file, '{"event":"old"}\n{"event":"bro');
    const audit = await opened(t, file);
    audit.sessionStart(JANE);
    await audit.close();
    const lines = (await readFile(file, "utf8")).split("\n");
    assert.deepEqual(lines.slice(0, 2), ['{"event":"old"}', '{"event":"bro']);
    assert.equal((JSON.parse(lines[2]!) as AuditEvent).event, "session_start");
    assert.equal(lines.length, 4);
  });

  test("is refused with a reason where it cannot be one", { timeout: 10_000 }, async (t) => {
    const path = await directory(t);
    await mkdir(join(path, "folder"));
    execFileSync("mkfifo", [join(path, "pipe")]);
    for (const [name, reason] of [
      ["no/audit.log", /cannot be opened: its directory does not exist \(ENOENT\)/],
      ["folder", /cannot be opened: it is a directory \(EISDIR\)/],
      ["pipe", /cannot be used: it is neither a regular file nor a device/],
    ] as const) {
      await assert.rejects(AuditLog.open(join(path, name)), (error: unknown) => {
        assert.ok(error instanceof AuditFileError);
        assert.match(error.message, reason);
        assert.ok(error.message.includes(join(path, name)));
        return true;
      });
    }
    await assert.rejects(AuditLog.open(join(path, "a.log"), { maxBufferedBytes: 1_000 }), RangeError);
  });

  test("has a single event soon, without a close", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    audit.sessionStart(JANE);
    assert.equal((await stat(file)).size, 0);
    await until(async () => (await stat(file)).size > 0, "the line is in the file");
    assert.equal((await eventsOf(file)).length, 1);
  });

  test("has 100,000 events in order, none lost, for less than 3 microseconds of the main thread each", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    audit.sessionStart(JANE);
    audit.authentication(1, "alice", true);
    const keys = Array.from({ length: 100_000 }, (_, i) => keysOf(key(`user:profile:${i}`)));
    const before = process.threadCpuUsage();
    for (let i = 0; i < keys.length; i++) {
      audit.command(1, "get", keys[i]!, "ok", i);
      if (i % 1_000 === 999) await turn();
    }
    await audit.close();
    const { user, system } = process.threadCpuUsage(before);
    const events = (await eventsOf(file)).slice(2);
    assert.equal(events.length, keys.length);
    for (const [i, event] of events.entries()) {
      assert.equal(event.micros, i);
      assert.deepEqual(event.keys, [`user:profile:${i}`]);
    }
    assert.deepEqual(audit.counters, { written: 100_002, lost: 0, failures: 0 });
    const each = (user + system) / keys.length;
    t.diagnostic(`${each.toFixed(3)} microseconds of main thread CPU an event, writing included`);
    assert.ok(each < 3, `${each} microseconds an event`);
  });

  test("is rotated under load without an event lost, torn or out of order", async (t) => {
    const path = await directory(t);
    const file = join(path, "audit.log");
    const audit = await opened(t, file, { flushMs: 1 });
    let count = 0;
    const files: string[] = [];
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 2_000; i++) audit.command(1, "set", keysOf(key(`k${count}`)), "ok", count++);
      await turn();
      const old = join(path, `audit.log.${round}`);
      await rename(file, old);
      files.push(old);
      const reopened = audit.reopen();
      for (let i = 0; i < 500; i++) audit.command(1, "set", keysOf(key(`k${count}`)), "ok", count++);
      await reopened;
    }
    await audit.close();
    const pieces = await Promise.all([...files, file].map((one) => readFile(one)));
    for (const piece of pieces) parsed(piece);
    const events = parsed(Buffer.concat(pieces));
    assert.deepEqual(events.map(({ micros }) => micros), Array.from({ length: count }, (_, i) => i));
    assert.ok(pieces.filter((piece) => piece.length > 0).length > 10);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  test("stays the old one where a rotation leaves no place for the new one", async (t) => {
    const path = await directory(t);
    await mkdir(join(path, "logs"));
    const audit = await opened(t, join(path, "logs", "audit.log"));
    audit.sessionStart(JANE);
    await rename(join(path, "logs"), join(path, "moved"));
    await assert.rejects(audit.reopen(), AuditFileError);
    audit.sessionEnd(1, "closed", { commands: 0, denied: 0 });
    await audit.close();
    assert.equal((await eventsOf(join(path, "moved", "audit.log"))).length, 2);
  });

  test("has all of several rotations that are asked for at once, and none after its close", async (t) => {
    const file = join(await directory(t), "audit.log");
    const audit = await opened(t, file);
    audit.sessionStart(JANE);
    await Promise.all([audit.reopen(), audit.reopen(), audit.reopen()]);
    audit.sessionEnd(1, "closed", { commands: 0, denied: 0 });
    await Promise.all([audit.close(), audit.close()]);
    await audit.reopen();
    assert.equal((await eventsOf(file)).length, 2);
  });
});
