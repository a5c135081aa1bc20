import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { createLogger, writerTo } from "../../proxy/server/log.ts";
import type { LogLevel } from "../../proxy/server/log.ts";

function logged(fields: Record<string, unknown>, level: LogLevel = "info", message = "hello"): Record<string, unknown> {
  const lines: string[] = [];
  createLogger((line) => lines.push(line), "debug")[level](message, fields);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^[^\r\n\u0085\u2028\u2029]*\n$/);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

describe("a log line", () => {
  test("is one JSON object with time, level, message and fields, in this order", () => {
    const line = logged({ session: 7, ok: true });
    assert.deepEqual(Object.keys(line), ["time", "level", "message", "session", "ok"]);
    assert.equal(line.time, new Date(line.time as string).toISOString());
    assert.equal(line.level, "info");
    assert.equal(line.message, "hello");
  });

  test("stays one line whatever message, names and values hold", () => {
    const nasty = 'a\r\n{"level":"error"}\u2028\u2029\u0085\u009b31m\u007f\u0000\ud800';
    const line = logged({ [nasty]: nasty, list: [nasty] }, "info", nasty);
    assert.equal(line.message, nasty);
    assert.equal(line[nasty], nasty);
  });

  test("holds no terminal control, raw", () => {
    const lines: string[] = [];
    createLogger((line) => lines.push(line)).info("\u001b[31m\u009b31m\u007f");
    assert.doesNotMatch(lines[0]!.trimEnd(), /[\u0000-\u001f\u007f-\u009f]/);
  });

  test("has no secret, whatever the case of the field's name and however deep it is", () => {
    const names = [
      "password", "dbPassword", "PASSWORD", "passwd", "requirepass", "masterauth", "auth", "AUTH", "authToken", "auth_token", "x-api-key",
      "apiKey", "APIKey", "key", "keys", "privateKey", "clientKeyPem", "token", "join_tokens", "secret", "secretAccess", "credentials", "passphrase",
      "Authorization", "cookie",
    ];
    for (const name of names) {
      const text = JSON.stringify(logged({ [name]: "hunter2", deep: { list: [{ [name]: ["hunter2"] }] } }, "error"));
      assert.doesNotMatch(text, /hunter2/, name);
    }
  });

  test("keeps fields whose names only look a little like a secret's", () => {
    const fields = { keyspace: "a", author: "b", authority: "c", passed: 3, tokenizer: "d", user: "e" };
    const { time, level, message, ...kept } = logged(fields);
    assert.deepEqual(kept, fields);
    assert.ok(time !== undefined && level !== undefined && message !== undefined);
  });

  test("has no user name and password of a URI, neither in the message, nor in fields, nor in errors", () => {
    const uri = "rediss://alice:hunter2@127.0.0.1:7379/0";
    const text = JSON.stringify(logged({ uri, error: new Error(`cannot reach ${uri}`) }, "error", `at ${uri}`));
    assert.doesNotMatch(text, /hunter2/);
    assert.match(text, /rediss:\/\/\[redacted\]@127\.0\.0\.1:7379/);
  });

  test("has an error's message, code and cause, and its stack at error and debug only", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    const error = Object.assign(new Error("no node answers", { cause }), { code: "E_DOWN", password: "hunter2" });
    const wanted = { message: "no node answers", code: "E_DOWN", cause: { message: "connect ECONNREFUSED", code: "ECONNREFUSED" } };
    for (const level of ["info", "warn"] as const) assert.deepEqual(logged({ error }, level).error, wanted);
    for (const level of ["debug", "error"] as const) {
      assert.match((logged({ error }, level).error as { stack: string }).stack, /no node answers\n {4}at /);
    }
  });

  test("has the parts of an error that has no message of its own", () => {
    const error = new AggregateError([new Error("one"), new Error("two")], "");
    assert.deepEqual(logged({ error }).error, { message: "one; two" });
  });

  test("has bytes as their number, and long texts and lists cut", () => {
    const line = logged({ bytes: Buffer.from("hunter2"), text: "x".repeat(100_000), list: Array.from({ length: 1_000 }, (_, i) => i) });
    assert.equal(line.bytes, "(7 bytes)");
    assert.match(line.text as string, /^x{4096}… \(100000 characters\)$/);
    assert.equal((line.list as unknown[]).length, 101);
  });

  test("is written for values that JSON cannot hold", () => {
    const circle: Record<string, unknown> = { n: 1n, nan: NaN, f: () => 1, s: Symbol("x") };
    circle.self = circle;
    const thrower = {
      get bad(): string {
        throw new Error("no");
      },
      toJSON: () => ({ stolen: "hunter2" }),
    };
    const line = logged({ circle, thrower });
    assert.equal((line.circle as { n: string }).n, "1");
    assert.equal((line.thrower as { bad: string }).bad, "(cannot be read)");
    assert.doesNotMatch(JSON.stringify(line), /hunter2/);
  });

  test("keeps its own time, level and message against fields of these names", () => {
    const line = logged({ level: "error", message: "forged", time: "never" });
    assert.equal(line.level, "info");
    assert.equal(line.message, "hello");
    assert.equal(line.field_message, "forged");
  });
});

describe("a logger", () => {
  test("writes nothing below its level", () => {
    const lines: string[] = [];
    const log = createLogger((line) => lines.push(line), "warn");
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    assert.deepEqual(lines.map((line) => (JSON.parse(line) as { message: string }).message), ["c", "d"]);
  });

  test("does not throw where its writer does", () => {
    const log = createLogger(() => {
      throw new Error("EAGAIN");
    });
    log.error("still alive");
  });

  test("drops lines above the bound while nobody reads, and then says how many", () => {
    const written: string[] = [];
    const stream = { writableLength: 0, write: (line: string) => written.push(line) > 0, on: () => undefined };
    const log = createLogger(writerTo(() => stream));
    log.info("first");
    stream.writableLength = 2_000_000;
    log.info("dropped");
    log.info("dropped");
    stream.writableLength = 0;
    log.info("last");
    const lines = written.map((line) => JSON.parse(line) as { message: string; count?: number });
    assert.deepEqual([lines.length, lines[0]!.message, lines[1]!.count, lines[2]!.message], [3, "first", 2, "last"]);
  });

  test("goes on in a process whose standard output nobody reads any more", async () => {
    const module = new URL("../../proxy/server/log.ts", import.meta.url).href;
    const program = `
      import { createLogger } from ${JSON.stringify(module)};
      const log = createLogger();
      let lines = 0;
      const timer = setInterval(() => {
        log.info("line", { text: "x".repeat(1000) });
        if (++lines === 200) { clearInterval(timer); process.exitCode = 7; }
      }, 1);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(errors, "");
    assert.equal(code, 7);
  });
});
