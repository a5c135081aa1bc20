import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";

let client: RawConnection;
clusterBehindProxy(threeMasters, {}, async ({ proxy }) => {
  client = await RawConnection.open(proxy);
  return () => {
    client.close();
  };
});

/** Requests in turn, and Redis's reply to each, byte for byte. */
const exchanges: readonly (readonly [request: readonly string[], reply: string])[] = [
  [["PING"], "+PONG\r\n"],
  [["PING", "a text"], "$6\r\na text\r\n"],
  [["ECHO", "a\r\nb"], "$4\r\na\r\nb\r\n"],
  [["NONSENSE", "a", "b"], "-ERR unknown command 'NONSENSE', with args beginning with: 'a' 'b' \r\n"],
  [["GET"], "-ERR wrong number of arguments for 'get' command\r\n"],
  [["GET", "a", "b"], "-ERR wrong number of arguments for 'get' command\r\n"],
  [["SET", "k", "v", "NONSENSE"], "-ERR syntax error\r\n"],
  [["MSET", "a", "1", "b", "2"], "-CROSSSLOT Keys in request don't hash to the same slot\r\n"],
  [["DEL", "a", "b"], "-CROSSSLOT Keys in request don't hash to the same slot\r\n"],
  [["MSET", "{t}a", "1", "{t}b", "2"], "+OK\r\n"],
  [["DEL", "{t}a", "{t}b", "{t}c"], ":2\r\n"],
  [["SET", "text", "v"], "+OK\r\n"],
  [["INCR", "text"], "-ERR value is not an integer or out of range\r\n"],
  [["LPUSH", "text", "1"], "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"],
  [["SET", "text", "w", "NX"], "$-1\r\n"],
  [["EVAL", "return {1, 'two', false, {3}, redis.status_reply('fine')}", "0"], "*5\r\n:1\r\n$3\r\ntwo\r\n$-1\r\n*1\r\n:3\r\n+fine\r\n"],
  [["EVAL", "return redis.error_reply('MY own error')", "1", "k"], "-MY own error\r\n"],
  [["EVAL", "return KEYS", "2", "a", "b"], "-CROSSSLOT Keys in request don't hash to the same slot\r\n"],
  [["EVALSHA", "0".repeat(40), "1", "k"], "-NOSCRIPT No matching script. Please use EVAL.\r\n"],
  [["EVAL", "return 1", "x"], "-ERR value is not an integer or out of range\r\n"],
  [["FCALL", "nothing", "1", "k"], "-ERR Function not found\r\n"],
  [["BLPOP", "empty", "0.01"], "*-1\r\n"],
  [["BLMOVE", "{e}1", "{e}2", "LEFT", "LEFT", "0.01"], "*-1\r\n"],
  [["BZPOPMIN", "empty", "0.01"], "*-1\r\n"],
  [["XREAD", "BLOCK", "10", "STREAMS", "empty", "$"], "*-1\r\n"],
  [["LPOP", "empty", "3"], "*-1\r\n"],
  [["ZADD", "z", "1.5", "m"], ":1\r\n"],
  [["ZSCORE", "z", "m"], "$3\r\n1.5\r\n"],
  [["XADD", "x", "1-1", "f", "v"], "$3\r\n1-1\r\n"],
  [["XREAD", "COUNT", "1", "STREAMS", "x", "0"], "*1\r\n*2\r\n$1\r\nx\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"],
  [["GEOADD", "g", "13.361389", "38.115556", "Palermo"], ":1\r\n"],
  [["GEOSEARCHSTORE", "{g}2", "{g}1", "FROMLONLAT", "15", "37", "BYRADIUS", "200", "km"], ":0\r\n"],
  [["OBJECT", "ENCODING", "z"], "$8\r\nlistpack\r\n"],
  [["OBJECT"], "-ERR wrong number of arguments for 'object' command\r\n"],
  [["SELECT", "0"], "+OK\r\n"],
  [["SELECT", "1"], "-ERR SELECT is not allowed in cluster mode\r\n"],
  [["DISCARD"], "-ERR DISCARD without MULTI\r\n"],
  [["UNWATCH"], "+OK\r\n"],
  [["UNSUBSCRIBE"], "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"],
  [["UNSUBSCRIBE", "a", "b"], "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"],
  [["SUBSCRIBE"], "-ERR wrong number of arguments for 'subscribe' command\r\n"],
  [["PUBLISH", "nobody", "hears"], ":0\r\n"],
  [["SPUBLISH", "nobody", "hears"], ":0\r\n"],
  [["AUTH"], "-ERR Teleport: wrong number of arguments for 'auth' command\r\n"],
  [["AUTH", "a", "b", "c"], "-ERR Teleport: syntax error\r\n"],
  [["COMMAND", "COUNT", "x"], "-ERR wrong number of arguments for 'command|count' command\r\n"],
  [["GET", ""], "$-1\r\n"],
  [["SET", "", "empty name"], "+OK\r\n"],
  [["GET", ""], "$10\r\nempty name\r\n"],
];

const repliesTo = ([name, ...args]: readonly string[]): number => (name === "UNSUBSCRIBE" ? Math.max(1, args.length) : 1);

for (const [request, reply] of exchanges) {
  test(`${JSON.stringify(request.join(" ").slice(0, 70))} is answered ${JSON.stringify(reply.slice(0, 70))}`, async () => {
    client.send(...request);
    assert.equal((await client.replies(repliesTo(request))).join(""), reply);
  });
}

test("the same requests in one pipeline, cut anywhere, are answered the same", async () => {
  await client.ask("FLUSHALL");
  const bytes = Buffer.concat(exchanges.map(([request]) => encodeCommand(request)));
  for (let pos = 0, size = 1; pos < bytes.length; pos += size, size = (size * 7 + 3) % 61 + 1) {
    client.write(bytes.subarray(pos, pos + size));
    if (size % 5 === 0) await new Promise(setImmediate);
  }
  for (const [request, reply] of exchanges) assert.equal((await client.replies(repliesTo(request))).join(""), reply, request.join(" "));
});
