import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { fuzzSeed } from "../support/fuzz.ts";
import { Random } from "../support/random.ts";
import { sized } from "../support/soak.ts";
import { FIXED, IdentityClient } from "./support/identity-client.ts";
import type { IdentityCounts } from "./support/identity-client.ts";

// Clients whose requests each have one right reply, at any depth and size, in any pieces; they read slowly and cut their
// connections. Held back at a mebibyte, they meet the proxy's own bounds all the time.
const fixtures = clusterBehindProxy(
  { nodes: 3, replicasPerMaster: 0, nodeTimeoutMs: 15_000 },
  { limits: { max_client_output_bytes: 1_048_576 }, config: { audit: { file: "audit.log", commands: "none" } } },
  async ({ cluster }) => {
    const client = cluster.clusterClient();
    for (const [name, value] of FIXED) await client.set(name, value);
    client.disconnect();
    return () => undefined;
  },
);

/** Has clients run for a time, or until so many replies were right: ten million took six and a half minutes on two cores. */
async function soak(context: TestContext, mayBeLost: boolean, meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<IdentityCounts> {
  const counts: IdentityCounts = { right: 0, cut: 0, slow: 0, lost: 0, closed: 0 };
  const seed = fuzzSeed(context);
  const started = performance.now();
  const end = started + sized(10_000, 1_500_000);
  let failed = false;
  const over = (): boolean => failed || performance.now() > end || counts.right >= sized(Infinity, 10_000_000);
  const clients = Array.from({ length: 12 }, (_, i) => new IdentityClient(fixtures.proxy, `${mayBeLost ? "b" : "a"}${i}`, new Random(seed + i), counts, mayBeLost));
  const beside = (async () => {
    for (let seen = 0; !over(); ) {
      await pause(300);
      // On a busy machine a connection that is cut before it was of use each time would be no fault of the proxy's.
      if (counts.right < seen + 1_000) continue;
      seen = counts.right;
      await meanwhile();
    }
  })();
  try {
    await Promise.all(clients.map((client) => client.run(over)));
  } finally {
    failed = true;
    await beside;
  }
  const minutes = (performance.now() - started) / 60_000;
  context.diagnostic(`${JSON.stringify(counts)}, ${Math.round(counts.right / minutes)} commands a minute`);
  return counts;
}

test("no reply reaches another request or another client, while clients read slowly and cut their connections", async (context) => {
  const counts = await soak(context, false);
  assert.ok(counts.right > 1_000 && counts.cut > 5 && counts.slow > 5, JSON.stringify(counts));
});

test("nor while the nodes cut the proxy's connections: each reply is the right one, or says that the node was lost", async (context) => {
  const nodes = fixtures.cluster.nodes.map((node) => fixtures.cluster.direct(node));
  try {
    const counts = await soak(context, true, async () => {
      for (const node of nodes) await node.call("CLIENT", "KILL", "USER", "alice", "SKIPME", "yes");
    });
    assert.ok(counts.right > 1_000 && counts.lost + counts.closed > 0, JSON.stringify(counts));
  } finally {
    for (const node of nodes) node.disconnect();
  }
});
