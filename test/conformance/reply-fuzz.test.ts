import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { ProtocolError } from "../../proxy/resp/protocol-error.ts";
import { decodeReply } from "../../proxy/resp/reply-decoder.ts";
import { fuzzSeed } from "../support/fuzz.ts";
import { pieces } from "../support/pieces.ts";
import { PlainRedis } from "../support/plain-redis.ts";
import { endOfReply, NoReplyError, replyEnds } from "../support/reply-reading.ts";
import { edited, edits } from "../support/request-bytes.ts";
import { sized } from "../support/soak.ts";
import { within } from "../support/wait-for.ts";

/** What is in the server when it is asked. */
const content = [
  ["SET", "text", "a\r\n$3\r\nb"],
  ["SET", "number", "12"],
  ["HSET", "hash", "a", "1", "b\r\n", "", "", "*2\r\n"],
  ["RPUSH", "list", "a", "", "\r\n"],
  ["SADD", "set", "a", "b", "1"],
  ["ZADD", "zset", "1.5", "a", "-inf", "b", "3e20", "c"],
  ["XADD", "stream", "1-1", "field", "value"],
  ["XGROUP", "CREATE", "stream", "group", "0"],
  ["XREADGROUP", "GROUP", "group", "reader", "STREAMS", "stream", ">"],
  ["GEOADD", "geo", "13.361389", "38.115556", "Palermo"],
  ["FUNCTION", "LOAD", "#!lua name=one\nredis.register_function('one', function() return 1 end)"],
];

/** Between them they have every type, small and large, and nested; each is answered with one reply. */
const questions = [
  ...["string", "integer", "double", "null", "array", "set", "map", "attrib", "push", "verbatim", "true", "false", "bignum"].map((type) => ["DEBUG", "PROTOCOL", type]),
  ...[["PING"], ["GET", "text"], ["GET", "nothing"], ["INCR", "number"], ["GET"], ["NONSENSE", "a\r\nb"], ["LPUSH", "text", "1"]],
  ...[["HGETALL", "hash"], ["HGETALL", "nothing"], ["LRANGE", "list", "0", "-1"], ["LPOP", "nothing", "2"], ["SMEMBERS", "set"], ["SMISMEMBER", "set", "a", "x"]],
  ...[["ZRANGE", "zset", "0", "-1", "WITHSCORES"], ["ZSCORE", "zset", "b"], ["ZMSCORE", "zset", "a", "x"], ["ZPOPMIN", "nothing"], ["ZRANDMEMBER", "zset", "2", "WITHSCORES"]],
  ...[["XRANGE", "stream", "-", "+"], ["XINFO", "STREAM", "stream", "FULL"], ["XREAD", "STREAMS", "stream", "0"], ["XREAD", "STREAMS", "nothing", "0"], ["XPENDING", "stream", "group"]],
  ...[["GEOPOS", "geo", "Palermo", "x"], ["GEOSEARCH", "geo", "FROMLONLAT", "13", "38", "BYRADIUS", "100", "km", "WITHCOORD", "WITHDIST"], ["BLPOP", "nothing", "0.01"]],
  ...[["CONFIG", "GET", "*"], ["COMMAND"], ["COMMAND", "DOCS", "set", "zadd"], ["COMMAND", "COUNT"], ["CLIENT", "LIST"], ["CLIENT", "TRACKINGINFO"], ["INFO"]],
  ...[["ACL", "GETUSER", "default"], ["ACL", "LIST"], ["MEMORY", "STATS"], ["MEMORY", "DOCTOR"], ["FUNCTION", "LIST", "WITHCODE"], ["FUNCTION", "STATS"], ["LOLWUT"]],
  ...[["SLOWLOG", "GET"], ["LATENCY", "HISTOGRAM"], ["OBJECT", "HELP"], ["ROLE"], ["TIME"], ["KEYS", "*"], ["SCAN", "0"], ["LCS", "text", "number", "IDX"]],
  ...[["EVAL", "return {1, {2, {3, {'x', {}}}}, false, redis.status_reply('s'), redis.error_reply('E e')}", "0"], ["EVAL", "return redis.error_reply('A b')", "0"]],
  ["EVAL", "redis.setresp(3); return {{double=1.5}, {big_number='12345678901234567890'}, {map={a=1, b={set={x=true}}}}, {verbatim_string={string='s', format='txt'}}, true}", "0"],
  ...[["DISCARD"], ["UNSUBSCRIBE"], ["CLIENT", "GETNAME"], ["CLIENT", "ID"], ["ECHO", "x".repeat(100_000)]],
];

const MARK = "the end of the reply before";
const markReply = Buffer.from(`$${MARK.length}\r\n${MARK}\r\n`);

/** The reply to each question: what comes before the answer to the ECHO behind it, whatever it looks like. */
async function collect(redis: PlainRedis, protocol: "2" | "3"): Promise<Buffer[]> {
  const socket = await redis.connect();
  let received = Buffer.alloc(0);
  let wake = (): void => undefined;
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    wake();
  });
  const ask = async (command: readonly string[]): Promise<Buffer> => {
    socket.write(Buffer.concat([encodeCommand(command), encodeCommand(["ECHO", MARK])]));
    while (!received.includes(markReply)) {
      await within(`the reply to ${command.join(" ")}`, 10_000, new Promise<void>((resolve) => (wake = resolve)));
    }
    const end = received.indexOf(markReply);
    const reply = received.subarray(0, end);
    received = received.subarray(end + markReply.length);
    return reply;
  };
  const answers: Buffer[] = [];
  for (const command of [["HELLO", protocol], ["FLUSHALL"], ["FUNCTION", "FLUSH"], ...content, ...questions]) {
    const answer = await ask(command);
    // A push is the reply (UNSUBSCRIBE), or comes before it (DEBUG).
    const first = answer[0] === ">".charCodeAt(0) ? endOfReply(answer, 0)! : answer.length;
    answers.push(answer.subarray(0, first));
    if (first < answer.length) answers.push(answer.subarray(first));
  }
  socket.destroy();
  return answers;
}

/** By protocol. */
let replies: Record<"2" | "3", Buffer[]>;
before(async () => {
  const redis = await PlainRedis.start();
  try {
    replies = { "2": await collect(redis, "2"), "3": await collect(redis, "3") };
  } finally {
    await redis.stop();
  }
});

for (const protocol of ["2", "3"] as const) {
  test(`each reply of Redis in RESP${protocol} is found to its last byte, whole and in any two pieces`, () => {
    const types = new Set<string>();
    for (const reply of replies[protocol]) {
      for (const type of reply.toString("latin1").match(/(?<=^|\r\n)[-+:$*_#,(=!%~>|]/g) ?? []) types.add(type);
      const expected = { ends: [reply.length], between: true };
      assert.deepEqual(replyEnds([reply]), expected, reply.toString("latin1", 0, 200));
      assert.equal(endOfReply(reply, 0), reply.length);
      if (protocol === "2") decodeReply(reply);
      const step = Math.ceil(reply.length / 500);
      for (let cut = 1; cut < reply.length; cut += step) {
        assert.deepEqual(replyEnds([reply.subarray(0, cut)]), { ends: [], between: false });
        assert.deepEqual(replyEnds([reply.subarray(0, cut), reply.subarray(cut)]), expected);
      }
    }
    // Redis 7.0 itself makes no reply that begins with "!".
    assert.deepEqual(["-", "+", ":", "$", "*", ...(protocol === "3" ? ["_", "#", ",", "(", "=", "%", "~", ">", "|"] : [])].filter((type) => !types.has(type)), [], "types that no reply had");
  });

  test(`any stream of Redis's replies in RESP${protocol} is cut at the same places, in whatever pieces it comes`, (context) => {
    const stream = fc.array(fc.nat(), { minLength: 1, maxLength: 20 });
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(stream, sizes, (picks, cuts) => {
        const chosen = picks.map((pick) => replies[protocol][pick % replies[protocol].length]!);
        let at = 0;
        const ends = chosen.map((reply) => (at += reply.length));
        assert.deepEqual(replyEnds(pieces(Buffer.concat(chosen), ...cuts)), { ends, between: true });
      }),
      { seed: fuzzSeed(context), numRuns: sized(200, 20_000) },
    );
  });

  test(`mutated replies in RESP${protocol} end where a full reading says they do, whole and in pieces; what that refuses is refused or skipped alike`, (context) => {
    const counts = { read: 0, refused: 0, open: 0 };
    fc.assert(
      fc.property(fc.nat(), fc.nat(), edits, fc.boolean(), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }), (first, second, changes, short, cuts) => {
        const all = replies[protocol].filter(({ length }) => length < 3_000);
        const mutated = edited(Buffer.concat([all[first % all.length]!, all[second % all.length]!]), changes);
        const bytes = short ? mutated.subarray(0, second % (mutated.length + 1)) : mutated;
        const whole = outcome([bytes]);
        assert.deepEqual(outcome(pieces(bytes, ...cuts)), whole, "whole and in pieces");
        assert.deepEqual(outcome(pieces(bytes, 1)), whole, "whole and byte by byte");
        for (let pos = 0, i = 0; pos < bytes.length; i++) {
          const end = strictEnd(bytes, pos);
          if (end === "none") {
            counts.refused++;
            return;
          }
          if (end === "open") {
            counts.open++;
            assert.equal(whole.ends.length, i, "a reply that is not whole");
            return;
          }
          counts.read++;
          assert.equal(whole.ends[i], end);
          if (protocol === "2") decodesOnly(bytes, pos, end);
          pos = end;
        }
      }),
      { seed: fuzzSeed(context), numRuns: sized(4_000, 400_000) },
    );
    context.diagnostic(JSON.stringify(counts));
    assert.ok(Math.min(...Object.values(counts)) > 50, "each kind of outcome was met");
  });
}

/** Where replies end, and whether the bytes behind them can be none. */
function outcome(chunks: readonly Buffer[]): { ends: number[]; error: boolean } {
  const ends: number[] = [];
  try {
    replyEnds(chunks, ends);
    return { ends, error: false };
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return { ends, error: true };
  }
}

function strictEnd(bytes: Buffer, pos: number): number | "none" | "open" {
  try {
    return endOfReply(bytes, pos) ?? "open";
  } catch (error) {
    assert.ok(error instanceof NoReplyError, String(error));
    return "none";
  }
}

/** The decoder takes these bytes to the last, and neither one less nor one more. */
function decodesOnly(bytes: Buffer, start: number, end: number): void {
  const decode = (to: number): unknown => decodeReply(bytes.subarray(start, to));
  try {
    decode(end);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    // Types of RESP3 have become part of it, or a number that is none.
    assert.match(error.message, /names no type|number of a reply/);
  }
  assert.throws(() => decode(end - 1), ProtocolError);
  if (end < bytes.length) assert.throws(() => decode(end + 1), ProtocolError);
}
