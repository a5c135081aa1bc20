import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { InvalidValueError } from "../../components/invalid-value-error.ts";
import { parseRedisConf, quoteArgument, renderRedisConf } from "../../components/redis-conf.ts";
import type { RedisConf } from "../../components/redis-conf.ts";
import { assertGolden } from "./support/golden.ts";

const conf: RedisConf = {
  host: "127.0.0.1",
  port: 7001,
  dataDirectory: "/srv/redis/7001/data",
  logFile: "/srv/redis/7001/redis.log",
  aclFile: "/srv/redis/7001/users.acl",
  certFile: "/srv/redis/7001/server.crt",
  keyFile: "/srv/redis/7001/server.key",
  caFile: "/srv/redis/7001/pem-bundle.cas",
  masterUser: "replica-user",
  masterPassword: "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
};

test("the plain redis.conf is the golden one", () => {
  assertGolden("redis.conf", renderRedisConf(conf));
});

test("additional parameters are sorted, quoted and written after the own ones", () => {
  const parameters = { save: ["3600", 1], maxmemory: "256mb", appendonly: true, "tls-ciphers": "DEFAULT:!MEDIUM", "proc-title-template": 'a "b" \\ c' };
  assertGolden("redis-parameters.conf", renderRedisConf({ ...conf, host: "::1", tlsAuthClients: "optional", nodeTimeoutMs: 15000, parameters }));
});

test("a parameter with a default of this toolkit's own is written once, as it was declared", () => {
  const written = parseRedisConf(renderRedisConf({ ...conf, parameters: { "repl-diskless-sync-delay": 5 } })).filter(([name]) => name === "repl-diskless-sync-delay");
  assert.deepEqual(written, [["repl-diskless-sync-delay", "5"]]);
});

for (const name of ["port", "tls-port", "include", "requirepass", "tls-ca-cert-dir", "replicaof", "user", "masterauth", "Port", "a b", "x\nport", ""]) {
  test(`the additional parameter ${JSON.stringify(name)} is refused by name`, () => {
    assert.throws(
      () => renderRedisConf({ ...conf, parameters: { [name]: "1" } }),
      (error) => error instanceof InvalidValueError && error.property === `parameters.${JSON.stringify(name).slice(1, -1)}`,
    );
  });
}

test("an empty list, a NUL and an endless number are refused", () => {
  for (const value of [[], "a\0b", Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => renderRedisConf({ ...conf, parameters: { maxmemory: value } }), InvalidValueError);
  }
});

test("no value can start a line of its own, and every value comes back from Redis's quoting as it was", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }).filter((text) => !text.includes("\0")), (text) => {
      const quoted = quoteArgument("x", text);
      assert.equal(/[\n\r]/.test(quoted), false);
      assert.deepEqual(splitArguments(`name ${quoted}`), ["name", text]);
    }),
  );
});

/** The reading side: `sdssplitargs` of redis src/sds.c, as far as double quotes and escapes go. */
function splitArguments(line: string): string[] {
  const tokens = line.match(/"(?:\\x[0-9a-f]{2}|\\.|[^"\\])*"|[^\s"]+/gsu) ?? [];
  return tokens.map((token) => {
    if (!token.startsWith('"')) return token;
    return token.slice(1, -1).replace(/\\x([0-9a-f]{2})|\\(.)/gsu, (_, hex: string | undefined, character: string) =>
      hex === undefined ? character : String.fromCharCode(Number.parseInt(hex, 16)),
    );
  });
}

test("a rendered redis.conf is read back as it was declared, whatever the values hold", () => {
  const value = fc.string({ unit: "grapheme-ascii" });
  fc.assert(
    fc.property(fc.array(fc.oneof(value, fc.integer()), { minLength: 1, maxLength: 4 }), (values) => {
      const lines = parseRedisConf(renderRedisConf({ ...conf, parameters: { "notify-keyspace-events": values } }));
      assert.deepEqual(lines.find(([name]) => name === "notify-keyspace-events"), ["notify-keyspace-events", ...values.map(String)]);
      assert.deepEqual(lines.find(([name]) => name === "tls-protocols"), ["tls-protocols", "TLSv1.2 TLSv1.3"]);
    }),
  );
});
