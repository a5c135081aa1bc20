import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { ProtocolError } from "../../proxy/resp/protocol-error.ts";
import { RequestParser } from "../../proxy/resp/request-parser.ts";
import type { RequestLimits } from "../../proxy/resp/request-parser.ts";
import { pieces } from "../support/pieces.ts";

const LIMITS: RequestLimits = { maxBulkBytes: 1_000, maxArguments: 100, maxInlineBytes: 200 };

interface Parsed {
  readonly commands: Buffer[][];
  readonly frames: Buffer[];
  readonly error: string | undefined;
  readonly left: number;
}

function parse(chunks: readonly Buffer[], limits = LIMITS): Parsed {
  const parser = new RequestParser(limits);
  const commands: Buffer[][] = [];
  const frames: Buffer[] = [];
  try {
    for (const chunk of chunks) {
      parser.push(chunk);
      while (parser.next()) {
        const { frame, start, offsets } = parser;
        commands.push(Array.from({ length: parser.argc }, (_, i) => Buffer.from(frame.subarray(start + offsets[2 * i]!, start + offsets[2 * i + 1]!))));
        frames.push(Buffer.from(frame.subarray(start, parser.end)));
      }
    }
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return { commands, frames, error: error.message, left: parser.buffered };
  }
  return { commands, frames, error: undefined, left: parser.buffered };
}

/** Each vector is parsed whole and byte by byte, and must come out the same. */
function vector(name: string, bytes: string, expected: { commands?: string[][]; error?: string; left?: number; limits?: RequestLimits }): void {
  test(name, () => {
    const buffer = Buffer.from(bytes, "latin1");
    for (const chunks of [[buffer], pieces(buffer, 1)]) {
      const parsed = parse(chunks, expected.limits);
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
      fc.property(fc.array(command, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (commands, sizes) => {
        const encoded = commands.map((parts) => encodeCommand(parts));
        const parsed = parse(pieces(Buffer.concat(encoded), ...sizes));
        assert.deepEqual(parsed.commands, commands);
        assert.deepEqual(parsed.frames, encoded);
      }),
    );
  });

  test("takes any bytes without an error other than a protocol error, cut or not, with the same outcome", () => {
    const token = fc.constantFrom("*1\r\n", "*2\r\n", "$3\r\n", "$0\r\n", "GET\r\n", "\r\n", "$", "*", "-1", "\n", "\r", "a b", "'", '"', "\0");
    fc.assert(
      fc.property(fc.array(token, { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), (tokens, size) => {
        const bytes = Buffer.from(tokens.join(""), "latin1");
        const whole = parse([bytes]);
        const cut = parse(pieces(bytes, size));
        assert.deepEqual([cut.commands, cut.error], [whole.commands, whole.error]);
      }),
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
    const parser = new RequestParser({ ...LIMITS, maxArguments: 1_000_000 });
    let copied = 0;
    const copy = Reflect.get(Buffer.prototype, "copy") as (this: Buffer, target: Buffer, to?: number, from?: number, end?: number) => number;
    context.mock.method(Buffer.prototype, "copy", function (this: Buffer, target: Buffer, to?: number, from?: number, end?: number) {
      const bytes = copy.call(this, target, to, from, end);
      copied += bytes;
      return bytes;
    });
    let found = false;
    for (const piece of pieces(frame, 16_384)) {
      parser.push(piece);
      found = parser.next();
    }
    assert.ok(found);
    assert.ok(copied < 4 * frame.length, `${(copied / frame.length).toFixed(1)} copies of each byte`);
  });

  test("parses a frame of a megabyte that comes in small pieces in time that grows with its size", () => {
    const frame = encodeCommand(["SET", "k", Buffer.alloc(1_000_000, "x")]);
    const parsed = parse(pieces(frame, 100), { ...LIMITS, maxBulkBytes: 2_000_000 });
    assert.equal(parsed.commands[0]?.[2]?.length, 1_000_000);
  });
});
