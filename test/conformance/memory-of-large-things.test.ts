import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { TestProxy } from "../support/access-proxy.ts";
import { growthDuring } from "../support/process-memory.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { TestCluster } from "../support/redis-cluster.ts";
import { sized } from "../support/soak.ts";

// A proxy of its own for each case: memory that a process has had once, it seldom gives back, and the next case would not show.
// The bounds are in mebibytes over what the proxy held before; the numbers seen are printed.

const mebibyte = 1_048_576;
let cluster: TestCluster;
before(async () => {
  // Nodes that are busy with large values must not be taken for dead.
  cluster = await TestCluster.start({ nodes: 3, replicasPerMaster: 0, nodeTimeoutMs: 15_000 });
});
after(() => cluster.stop());

/** Runs `action` against a proxy that has done a little work already, and holds what it grows by. */
async function grows(context: TestContext, most: number, action: (proxy: TestProxy) => Promise<void>, limits: Record<string, number> = {}): Promise<void> {
  const proxy = await TestProxy.start(cluster, { limits });
  try {
    const client = await RawConnection.open(proxy);
    await client.ask("SET", "warm", Buffer.alloc(100_000, "v"));
    for (let i = 0; i < 300; i++) client.send("GET", "warm");
    for (let i = 0; i < 300; i++) await client.replyBytes();
    client.close();
    const growth = await growthDuring(proxy.child, () => action(proxy));
    context.diagnostic(`grew by ${growth} MiB, ${most} are allowed`);
    assert.ok(growth <= most, `the proxy grew by ${growth} MiB`);
  } finally {
    await proxy.stop();
  }
}

test("a subscriber that does not read is held back at its node", async (context) => {
  const limits = { max_client_output_bytes: mebibyte, client_stall_ms: 60_000 };
  await grows(context, 40, async (proxy) => {
    const subscriber = await RawConnection.open(proxy);
    const publisher = cluster.direct();
    try {
      await subscriber.ask("SUBSCRIBE", "channel");
      subscriber.socket.pause();
      for (let i = 0; i < sized(160, 1_000); i++) await publisher.publish("channel", Buffer.alloc(mebibyte, "m"));
      // Redis has let go of it, as of one that is connected to it directly: what was passed on before can be read, no more.
      subscriber.socket.resume();
      await subscriber.closed();
    } finally {
      subscriber.close();
      publisher.disconnect();
    }
  }, limits);
});
