import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import fc from "fast-check";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { RequestParser } from "../../proxy/resp/request-parser.ts";
import type { RequestLimits } from "../../proxy/resp/request-parser.ts";
import { pieces } from "../support/pieces.ts";
import { requestBytes } from "../support/request-bytes.ts";
import { readRequests } from "../support/request-reading.ts";

const LIMITS: RequestLimits = { maxBulkBytes: 1_000, maxArguments: 100, maxInlineBytes: 200 };

/** Each vector is parsed whole and byte by byte, and must come out the same. */
function vector(name: string, bytes: string, expected: { commands?: string[][]; error?: string; left?: number; limits?: RequestLimits }): void {
  test(name, () => {
    const buffer = Buffer.from(bytes, "latin1");
    for (const chunks of [[buffer], pieces(buffer, 1)]) {
      const parsed = readRequests(chunks, expected.limits ?? LIMITS);
      assert.deepEqual(parsed.commands.map((command) => command.map((argument) => argument.toString("latin1"))), expected.commands ?? []);
      assert.equal(parsed.error, expected.error);
      if (expected.error === undefined) assert.equal(parsed.left, expected.left ?? 0);
    }
  });
}

describe("a request parser", () => {
  vector("finds a command", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", { commands: [["GET", "a"]] });
  vector("finds commands behind one another", "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", { commands: [["PING"], ["ECHO", ""]] });
  vector("keeps bytes that look like protocol inside an argument", "*1\r\n$6\r\n\r\n$1\r\n\r\n", { commands: [["\r\n$1\r\n"]] });
  vector("steps over empty and negative arrays, as Redis does", "*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", { commands: [["PING"]] });
  vector("waits for the rest of a frame", "*2\r\n$3\r\nGET\r\n$5\r\nab", { left: 19 });
  vector("takes inline commands", "PING\r\nSET a \"b c\\x41\"\n\r\n  GET 'it\\'s' \r\n", { commands: [["PING"], ["SET", "a", "b cA"], ["GET", "it's"]] });
  vector("takes inline commands and arrays in turn", "PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n", { commands: [["PING"], ["PING"], ["PING"]] });
  vector("takes a vertical tab in a word for a byte of it, and between words for a blank", "ECHO a\vb\r\nECHO \va\f\r\n", {
    commands: [["ECHO", "a\vb"], ["ECHO", "a\f"]],
  });
  vector("refuses a zero byte in a line", "ECHO a\0b\r\n", { error: "zero byte in inline request" });
  vector("refuses a negative count that no 64-bit number can be", "*-9223372036854775809\r\n", { error: "invalid multibulk length" });
  vector("refuses unbalanced quotes", "SET \"a\r\n", { error: "unbalanced quotes in request" });
  vector("refuses text behind a closing quote", "SET \"a\"b\r\n", { error: "unbalanced quotes in request" });
  vector("refuses an inline command beyond the limit", "x".repeat(201), { error: "too big inline request" });
  vector("refuses an array that holds no bulk strings", "*1\r\n:1\r\n", { error: "expected '$', got ':'" });
  vector("refuses a count that is no number", "*1x\r\n", { error: "invalid multibulk length" });
  vector("refuses an empty count", "*\r\n", { error: "invalid multibulk length" });
  vector("refuses a count with a leading zero", "*01\r\n", { error: "invalid multibulk length" });
  vector("refuses a count beyond the limit", "*101\r\n", { error: "invalid multibulk length" });
  vector("refuses a count of endless digits before its line ends", "*" + "1".repeat(30), { error: "invalid multibulk length" });
  vector("refuses a negative bulk length", "*1\r\n$-1\r\n", { error: "invalid bulk length" });
  vector("refuses a bulk length beyond the limit at its header", "*1\r\n$1001\r\n", { error: "invalid bulk length" });
  vector("refuses a bulk string that does not end where it says", "*1\r\n$1\r\nabc", { error: "expected CRLF after a bulk string" });
  vector("refuses a header that ends in CR alone", "*1\rx$1", { error: "invalid multibulk length" });
  const small: RequestLimits = { ...LIMITS, maxArguments: 10, maxBulkBytes: 16, unauthenticated: true };
  vector("names the limit of a client that has not logged in", "*11\r\n", { error: "unauthenticated multibulk length", limits: small });
  vector("names the limit on arguments of such a client", "*1\r\n$17\r\n", { error: "unauthenticated bulk length", limits: small });

  test("finds every command of any pipeline, however its bytes are cut", () => {
    const command = fc.array(fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), fc.integer({ min: 1, max: 5 }), (commands, sizes, together) => {
        const encoded = commands.map((parts) => encodeCommand(parts));
        const parsed = readRequests(pieces(Buffer.concat(encoded), ...sizes), LIMITS, together);
        assert.deepEqual(parsed.commands, commands);
        assert.deepEqual(parsed.frames, encoded);
      }),
    );
  });

  test("reads any bytes the same whether they come whole or in any pieces: the way for whole frames and the careful one agree", () => {
    const generous: RequestLimits = { ...LIMITS, maxBulkBytes: 536_870_912, maxArguments: 1_048_576 };
    const token = fc.constantFrom("*1\r\n", "*2\r\n", "$3\r\n", "$0\r\n", "GET\r\n", "\r\n", "$", "*", "-1", "\n", "\r", "a b", "'", '"', "\0");
    const soup = fc.array(token, { maxLength: 20 }).map((tokens) => Buffer.from(tokens.join(""), "latin1"));
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.oneof(soup, requestBytes), sizes, fc.constantFrom(LIMITS, generous), (bytes, cuts, limits) => {
        const whole = readRequests([bytes], limits);
        for (const chunks of [pieces(bytes, 1), pieces(bytes, ...cuts)]) {
          const cut = readRequests(chunks, limits);
          assert.deepEqual([cut.commands, cut.frames, cut.error], [whole.commands, whole.frames, whole.error]);
          if (whole.error === undefined) assert.equal(cut.left, whole.left);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("takes no more memory for an announced argument than for the bytes that came", () => {
    const parser = new RequestParser({ ...LIMITS, maxBulkBytes: 536_870_912 });
    parser.push(Buffer.from("*2\r\n$3\r\nSET\r\n$536870912\r\nabc"));
    assert.equal(parser.next(), false);
    const before = process.memoryUsage().arrayBuffers;
    parser.push(Buffer.from("def"));
    assert.equal(parser.next(), false);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  });

  test("copies the bytes of a command of many arguments a few times at most, however many chunks it comes in", (context) => {
    const frame = encodeCommand(Array.from({ length: 100_000 }, () => "x".repeat(100)));
    const copies = copiesOf(context, frame, 16_384, 1);
    assert.ok(copies < 4, `${copies.toFixed(1)} copies of each byte`);
  });

  test("copies of the values in a pipeline only those that come in two chunks", (context) => {
    const value = Buffer.alloc(4_096, "x");
    const frames = Array.from({ length: 64 }, (_, i) => encodeCommand(["SET", `key:${i}`, value]));
    const copies = copiesOf(context, Buffer.concat(frames), 16_384, frames.length);
    assert.ok(copies < 0.3, `${copies.toFixed(2)} copies of each byte`);
  });

  test("joins what comes while no command is taken once, however many chunks it comes in", (context) => {
    const joined = context.mock.method(Buffer, "concat");
    const ping = encodeCommand(["PING"]);
    const frames = Buffer.concat([encodeCommand(["SET", "k", Buffer.alloc(1_000, "x")]), ...Array.from({ length: 10_000 }, () => ping)]);
    joined.mock.resetCalls();
    const parser = new RequestParser(LIMITS);
    for (const [i, chunk] of pieces(frames, 999).entries()) {
      parser.push(chunk);
      if (i === 0) assert.equal(parser.next(), false, "the first is not whole yet");
    }
    assert.equal(parser.buffered, frames.length);
    let found = 0;
    while (parser.next()) found++;
    assert.equal(found, 10_001);
    const bytes = joined.mock.calls.reduce((sum, { result }) => sum + (result?.length ?? 0), 0);
    assert.ok(bytes <= frames.length, `${bytes} bytes joined of ${frames.length}`);
  });

  test("parses a frame of a megabyte that comes in small pieces in time that grows with its size", () => {
    const frame = encodeCommand(["SET", "k", Buffer.alloc(1_000_000, "x")]);
    const parsed = readRequests(pieces(frame, 100), { ...LIMITS, maxBulkBytes: 2_000_000 });
    assert.equal(parsed.commands[0]?.[2]?.length, 1_000_000);
  });
});

/** How often each byte is copied, on average, while so many commands are read from chunks of one size. */
function copiesOf(context: TestContext, bytes: Buffer, chunkBytes: number, commands: number): number {
  const chunks = pieces(bytes, chunkBytes);
  let copied = 0;
  const copy = Reflect.get(Buffer.prototype, "copy") as (this: Buffer, target: Buffer, to?: number, from?: number, end?: number) => number;
  context.mock.method(Buffer.prototype, "copy", function (this: Buffer, target: Buffer, to?: number, from?: number, end?: number) {
    const count = copy.call(this, target, to, from, end);
    copied += count;
    return count;
  });
  const parser = new RequestParser({ ...LIMITS, maxArguments: 1_000_000, maxBulkBytes: 1_000_000 });
  let found = 0;
  for (const chunk of chunks) {
    parser.push(chunk);
    while (parser.next()) found++;
  }
  assert.equal(found, commands);
  return copied / bytes.length;
}
