import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import type { RequestLimits } from "../../proxy/resp/request-parser.ts";
import { fuzzSeed } from "../support/fuzz.ts";
import { PlainRedis } from "../support/plain-redis.ts";
import { inlineCommand, requestBytes } from "../support/request-bytes.ts";
import { readRequests } from "../support/request-reading.ts";
import type { RequestReading } from "../support/request-reading.ts";
import { sized } from "../support/soak.ts";

// The parser and a real redis-server read the same bytes. What the parser finds is encoded anew, so that nobody can be of two
// minds about it, and sent to Redis as well: where both read the same, both connections have the same answers.

/** Redis's own limits; those of a client that has not logged in where `unauthenticated`. */
const limits = (unauthenticated: boolean): RequestLimits => ({
  maxBulkBytes: unauthenticated ? 16_384 : 536_870_912,
  maxArguments: unauthenticated ? 10 : 2_147_483_647,
  maxInlineBytes: 65_536,
  unauthenticated,
});

let open: PlainRedis;
let guarded: PlainRedis;
before(async () => {
  [open, guarded] = await Promise.all([PlainRedis.start(), PlainRedis.start("--requirepass", "secret")]);
});
after(async () => {
  await Promise.all([open.stop(), guarded.stop()]);
});

const CR = 13;
const LF = 10;

/**
 * Follows the frame that begins at `start` as far as it is in order: where the line begins that is not, or not whole; and the
 * first allowed difference. Redis looks at no more than one byte of what should be CR LF behind a header or a bulk string,
 * whatever it is, and the parser refuses all else: the same bytes with that put right mean the same to Redis.
 */
function follow(bytes: Buffer, start: number, limit: RequestLimits): { line: number; putRight?: Buffer } {
  const put = (at: number, ...end: number[]): Buffer => Buffer.concat([bytes.subarray(0, at), Buffer.from(end), bytes.subarray(at + end.length)]);
  if (bytes[start] !== "*".charCodeAt(0)) return { line: start };
  let missing = Infinity;
  for (let line = start; ; ) {
    const cr = bytes.indexOf(CR, line);
    const [, type, digits] = /^([*$])(0|[1-9]\d*|(?<=\*)-[1-9]\d*)$/.exec(bytes.toString("latin1", line, Math.max(cr, line))) ?? [];
    if (type !== (line === start ? "*" : "$") || cr + 1 >= bytes.length || missing === 0) return { line };
    if (bytes[cr + 1] !== LF) return { line, putRight: put(cr + 1, LF) };
    if (Number(digits) > (type === "*" ? limit.maxArguments : limit.maxBulkBytes)) return { line };
    if (line === start) {
      missing = Number(digits);
      line = cr + 2;
      continue;
    }
    const end = cr + 2 + Number(digits);
    if (end + 2 > bytes.length) return { line };
    if (bytes[end] !== CR || bytes[end + 1] !== LF) return { line, putRight: put(end, CR, LF) };
    missing--;
    line = end + 2;
  }
}

/** The parser's reading of what Redis takes these bytes for, line ends put right; and the line at whose fault or open end it stands. */
function readAsRedis(bytes: Buffer, limit: RequestLimits): { reading: RequestReading; putRight: boolean; line: Buffer } {
  for (let right = bytes; ; ) {
    const reading = readRequests([right], limit);
    const { line, putRight } = follow(right, right.length - reading.left, limit);
    if (reading.error === undefined || putRight === undefined) return { reading, putRight: right !== bytes, line: right.subarray(line) };
    right = putRight;
  }
}

/** Where Redis looks for the end of such a line it sees nothing behind a zero byte, and waits. */
function endIsHidden(line: Buffer, error: string): boolean {
  const end = line.indexOf(error.endsWith("inline request") ? LF : CR);
  return line.subarray(0, end < 0 ? line.length : end).includes(0);
}

/** How often each allowed difference was met. */
type Differences = Map<string, number>;

async function agree(redis: PlainRedis, sent: Buffer, limit: RequestLimits, differences: Differences): Promise<void> {
  const met = (what: string): void => {
    differences.set(what, (differences.get(what) ?? 0) + 1);
  };
  const { reading, putRight, line } = readAsRedis(sent, limit);
  if (putRight) met("a line end that is none");
  const { commands, error } = reading;
  const answers = (await redis.exchange(sent)).toString("latin1");
  // A line may have more arguments than an array may before the login.
  const anew = commands.map((parts) => (parts.length > limit.maxArguments ? inlineCommand(parts) : encodeCommand(parts)));
  const expected = (await redis.exchange(Buffer.concat(anew))).toString("latin1");
  if (error === undefined) {
    assert.equal(answers, expected);
    return;
  }
  assert.equal(answers.slice(0, expected.length), expected, "the commands before the fault");
  const rest = answers.slice(expected.length);
  if (rest === `-ERR Protocol error: ${error}\r\n`) return;
  if (rest === "") {
    if (endIsHidden(line, error)) {
      met("a line with a zero byte");
      return;
    }
    // Any other line Redis refuses at its end, in the same words.
    met("refused before the line's end");
    const ended = (await redis.exchange(Buffer.concat([sent, Buffer.from("\r\n")]))).toString("latin1").slice(expected.length);
    assert.equal(ended, `-ERR Protocol error: ${error}\r\n`);
    return;
  }
  // Any byte may be quoted; the parser quotes those of ASCII.
  if (error === "expected '$', got '?'" && /^-ERR Protocol error: expected '\$', got '[^ -~]'\r\n$/.test(rest)) {
    met("a byte quoted as ?");
    return;
  }
  if (error.startsWith("unauthenticated") && rest === `-ERR Protocol error: ${error.replace("unauthenticated", "invalid")}\r\n`) {
    met("beyond both limits, called the smaller one's fault");
    return;
  }
  assert.fail(`the parser says ${JSON.stringify(error)}, Redis ${JSON.stringify(rest)}`);
}

for (const unauthenticated of [false, true]) {
  test(`Redis and the parser read the same commands and faults in any bytes${unauthenticated ? ", before the login too" : ""}`, async (context) => {
    const differences: Differences = new Map();
    const run = fc.asyncProperty(requestBytes, (bytes) => agree(unauthenticated ? guarded : open, bytes, limits(unauthenticated), differences));
    await fc.assert(run, { seed: fuzzSeed(context), numRuns: sized(unauthenticated ? 500 : 2_500, 60_000) });
    context.diagnostic(`differences that are allowed: ${JSON.stringify(Object.fromEntries(differences))}`);
  });
}
