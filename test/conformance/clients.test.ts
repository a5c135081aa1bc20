import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { allBytes, targetOf } from "./clients/client-report.ts";
import type { ClientReport, ClientTarget } from "./clients/client-report.ts";
import { runGoRedis } from "./clients/go-redis.ts";
import { runIoredis } from "./clients/ioredis.ts";
import { runNodeRedis } from "./clients/node-redis.ts";
import { runRedisPy } from "./clients/redis-py.ts";

const fixtures = clusterBehindProxy();

const clients: readonly (readonly [name: string, run: (target: ClientTarget) => Promise<ClientReport>])[] = [
  ["ioredis", runIoredis],
  ["node-redis", runNodeRedis],
  ["redis-py", runRedisPy],
  ["go-redis", runGoRedis],
];

for (const [name, run] of clients) {
  describe(`${name}, by mutual TLS and AUTH, in RESP2`, () => {
    let report: ClientReport;
    before(async () => {
      report = await run(targetOf(fixtures.proxy, name));
    });

    test("gets what it has set, and nil for what is not there", () => {
      assert.equal(report.get, "hello");
      assert.equal(report.missing, null);
    });

    test("gets the replies of a pipeline in order", () => {
      assert.deepEqual(report.pipeline, Array.from({ length: 100 }, (_, i) => i + 1));
    });

    test("fetches keys of all slots by MGET", () => {
      assert.deepEqual(report.mget, Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? String(i) : null)));
    });

    test("runs a script with a key and an argument", () => {
      assert.deepEqual(report.eval, ["k", "v", 7]);
    });

    test("waits in BLPOP for a value, and understands that none came", () => {
      assert.equal(report.blpop, "x");
      assert.equal(report.blpopEmpty, null);
    });

    test("stores keys and values of all bytes", () => {
      assert.equal(report.binary, allBytes.toString("hex"));
    });

    test("subscribes to channels, and unsubscribes from one of them", () => {
      assert.deepEqual(report.messages, ["a 1", "b 2", "b 4"]);
    });

    // redis-py takes the first word off the errors that it has classes for.
    test("understands errors, Redis's and the proxy's own", () => {
      assert.equal(report.error, "WRONGTYPE Operation against a key holding the wrong kind of value");
      assert.match(report.refused, /^(ERR )?Teleport: command not supported$/);
      assert.match(report.wrongPassword, /^(WRONGPASS )?invalid username-password pair or user is disabled\.$/);
    });

    test("is not served without a certificate", () => {
      assert.equal(report.servedWithoutCertificate, false);
    });
  });
}
