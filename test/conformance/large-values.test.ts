import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";

const fixtures = clusterBehindProxy();
const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

for (const bytes of [16_383, 65_535, 65_536, 65_537, 1_048_576, 33_554_432]) {
  test(`a value of ${bytes} bytes comes back as it was sent, with small requests around it`, async () => {
    const client = await RawConnection.open(fixtures.proxy);
    try {
      const value = randomBytes(bytes);
      client.send("SET", "before", "1");
      client.send("SET", "large", value);
      client.send("GET", "before");
      client.send("GET", "large");
      client.send("STRLEN", "large");
      client.send("MGET", "before", "large");
      assert.deepEqual(await client.replies(3), ["+OK\r\n", "+OK\r\n", "$1\r\n1\r\n"]);
      const reply = await client.replyBytes();
      const head = `$${bytes}\r\n`;
      assert.equal(reply.length, head.length + bytes + 2);
      assert.equal(digest(reply.subarray(head.length, -2)), digest(value));
      assert.equal(await client.reply(), `:${bytes}\r\n`);
      const both = await client.replyBytes();
      assert.equal(digest(both.subarray(-bytes - 2, -2)), digest(value));
    } finally {
      client.close();
    }
  });
}
