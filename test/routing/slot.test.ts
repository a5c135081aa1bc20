import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { Redis } from "ioredis";
import { slotOf } from "../../proxy/routing/slot.ts";
import { Child } from "../support/child.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { waitFor } from "../support/wait-for.ts";

function slot(key: Buffer | string): number {
  const bytes = Buffer.from(key as string);
  return slotOf(bytes, 0, bytes.length);
}

describe("a key's hash slot", () => {
  test("is that of the cluster specification's examples", () => {
    assert.equal(slot("123456789"), 0x31c3);
    assert.equal(slot(""), 0);
    assert.equal(slot("foo"), 12_182);
  });

  test("is that of the hash tag, where there is one that is not empty", () => {
    assert.equal(slot("{user1000}.following"), slot("{user1000}.followers"));
    assert.equal(slot("foo{bar}{zap}"), slot("bar"));
    assert.equal(slot("foo{{bar}}zap"), slot("{bar"));
    assert.notEqual(slot("foo{}{bar}"), slot("bar"));
    assert.notEqual(slot("foo{bar"), slot("bar"));
  });

  test("reads nothing outside the key's bytes", () => {
    const around = Buffer.from("{x}foo{y}");
    assert.equal(slotOf(around, 3, 6), slot("foo"));
  });
});

describe("beside a real Redis", () => {
  const directory = mkdtempSync(join(tmpdir(), "redis-access-slot-"));
  let server: Child;
  let client: Redis;

  before(async () => {
    const [port] = await findFreePorts(1, 10_000);
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", "", "--daemonize", "no"];
    server = new Child({ command: "redis-server", args, directory, logFile: join(directory, "log") });
    client = new Redis({ host: "127.0.0.1", port: port!, lazyConnect: true, enableReadyCheck: false });
    client.on("error", () => undefined);
    await waitFor("redis-server answers", 10_000, async () => (await client.call("PING")) === "PONG");
  });
  after(async () => {
    client.disconnect();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test("the slot of any bytes is the one that CLUSTER KEYSLOT names", async () => {
    const unit = fc.constantFrom(0x7b, 0x7d, 0x61, 0x00, 0xff, 0x0d);
    const keys = fc.oneof(fc.uint8Array(), fc.array(unit).map((bytes) => Uint8Array.from(bytes))).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.array(keys, { minLength: 20, maxLength: 60 }), async (sample) => {
        const expected = await Promise.all(sample.map((key) => client.call("CLUSTER", "KEYSLOT", key)));
        assert.deepEqual(sample.map(slot), expected);
      }),
    );
  });
});
