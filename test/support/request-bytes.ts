import fc from "fast-check";
import { encodeCommand } from "../../proxy/resp/encoder.ts";

/** Bytes that mean something somewhere in a request. */
const special = fc.constantFrom(...Buffer.from("**$$--++01239\r\r\n\n\0\t\v\f '\"\\xX:\xff", "latin1")).map((byte) => Buffer.of(byte));
const odd = fc.constantFrom(
  ...["", "0", "00", "01", "-0", "-1", "-2", "+1", " 1", "1 ", "1x", "0x1", "1.0", "--1", "1\0", "2147483647", "2147483648", "536870912", "536870913"],
  ...["9".repeat(18), "9223372036854775807", "9223372036854775808", "-9223372036854775809", `-${"9".repeat(18)}`, "18446744073709551617", "1".repeat(40)],
);

const argument = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 }).map((text) => Buffer.from(text)) },
  fc.array(special, { maxLength: 8 }).map((bytes) => Buffer.concat(bytes)),
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
);

/** Commands whose replies show their arguments, and change nothing: `X` is none, and Redis's error quotes what came with it. */
const command = fc.oneof(
  { weight: 4, arbitrary: fc.array(argument, { maxLength: 5 }).map((rest) => [Buffer.from("X"), ...rest]) },
  { weight: 3, arbitrary: argument.map((value) => [Buffer.from("ECHO"), value]) },
  fc.array(argument, { maxLength: 20 }).map((rest) => ["EVAL", "return ARGV", "0"].map((part) => Buffer.from(part)).concat(rest)),
  fc.constant([Buffer.from("PING")]),
);

/** A command as a line, each argument quoted by `quote`: all bytes as escapes, as they are but for `'`, or as they are. */
export function inlineCommand(parts: readonly Buffer[], quote: '"' | "'" | "" = '"', end = "\r\n"): Buffer {
  const quoted = parts.map((part) => {
    const text = part.toString("latin1");
    if (quote === '"') return `"${part.toString("hex").replaceAll(/../g, "\\x$&")}"`;
    return quote === "'" ? `'${text.replaceAll("'", "\\'")}'` : text;
  });
  return Buffer.from(quoted.join(" ") + end, "latin1");
}

const frame = fc.oneof(
  { weight: 4, arbitrary: command.map((parts) => encodeCommand(parts)) },
  fc.tuple(command, fc.constantFrom("" as const, "'" as const, '"' as const), fc.constantFrom("\r\n", "\n", " \r\n")).map(([parts, quote, end]) => inlineCommand(parts, quote, end)),
  fc.tuple(odd, fc.constantFrom("*", "*1\r\n$", "*2\r\n$1\r\nX\r\n$"), fc.constantFrom("\r\n", "\r", "\n", "")).map(([n, head, end]) => Buffer.from(head + n + end, "latin1")),
);

interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: Buffer;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true, noDefaultInfinity: true }),
  remove: fc.constantFrom(0, 0, 1, 1, 1, 2, 5),
  insert: fc.oneof(fc.constant(Buffer.alloc(0)), special, fc.uint8Array({ minLength: 1, maxLength: 1 }).map((bytes) => Buffer.from(bytes)), odd.map((text) => Buffer.from(text, "latin1"))),
});

/** `bytes` with pieces taken out and put in, each at a fraction of its length. */
export function edited(bytes: Buffer, edits: readonly Edit[]): Buffer {
  return edits.reduce((from, { at, remove, insert }) => {
    const pos = Math.floor(at * from.length);
    return Buffer.concat([from.subarray(0, pos), insert, from.subarray(pos + remove)]);
  }, bytes);
}

/** A few such edits; mostly few, as what follows the first fault is read by nobody. */
export const edits = fc.oneof(fc.constant<Edit[]>([]), fc.array(edit, { minLength: 1, maxLength: 2 }), fc.array(edit, { maxLength: 6 }));

/** What a client may send: pipelines of arrays and inline commands, the half of them mutated. */
export const requestBytes: fc.Arbitrary<Buffer> = fc
  .tuple(fc.array(frame, { minLength: 1, maxLength: 6 }), edits)
  .map(([frames, changes]) => edited(Buffer.concat(frames), changes));
