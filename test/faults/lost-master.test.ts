import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { keyOnEachMaster } from "../support/keys.ts";
import type { TestNode } from "../support/redis-cluster.ts";
import { waitFor } from "../support/wait-for.ts";
import { Availability } from "./support/availability.ts";
import { checkHistory } from "./support/check-history.ts";
import { Load } from "./support/load.ts";
import { takenOver } from "./support/moves.ts";

const fixtures = clusterBehindProxy({ nodes: 6, replicasPerMaster: 1, nodeTimeoutMs: 1000 });
const limitMs = 30_000;
/** An error may come so long before or after the time in which Redis itself takes no write. */
const slackMs = 1_000;

/** Takes each master away in turn under load, and checks what the clients saw against what Redis itself could do meanwhile. */
async function loseEachMaster(t: TestContext, name: string, lose: (master: TestNode) => void, bring: (master: TestNode) => Promise<void>): Promise<void> {
  const { cluster, proxy } = fixtures;
  await cluster.settled();
  const keys = await keyOnEachMaster(cluster, `probe:${name}:`);
  const availability = new Availability(cluster, [...keys.values()]);
  const load = new Load(proxy, { clients: 8, name });
  const ends: number[] = [];
  const pauses: string[] = [];
  for (const master of await cluster.masters()) {
    await load.progress(2_000);
    load.history.longestPauseMs = 0;
    const outages = availability.outages.length;
    ends.push(performance.now());
    lose(master);
    await takenOver(cluster, master, limitMs);
    await load.progress(8);
    await waitFor("the probes see the outage's end", limitMs, () => availability.outages.length > outages);
    await load.progress(2_000);
    const outage = Math.max(...availability.outages.slice(outages).map(({ from, to }) => to - from));
    pauses.push(`Redis ${outage.toFixed(0)} ms, clients ${load.history.longestPauseMs.toFixed(0)} ms`);
    assert.ok(load.history.longestPauseMs < outage + 1_500, `the clients were held up longer than Redis: ${pauses.at(-1)!}`);
    await bring(master);
    await cluster.settled();
  }
  const expected = await load.stop();
  await availability.stop();
  const findings = await checkHistory(load.history, expected, cluster, ends);
  const { answered, errors } = load.history;
  t.diagnostic(`${answered} commands, ${errors.length} errors, ${findings.lost} acknowledged writes lost with a master; pauses: ${pauses.join("; ")}`);
  for (const message of new Set(errors.map(({ message }) => message.replace(/\d+/g, "N")))) t.diagnostic(message);
  const outside = errors.filter(({ invokedAt, respondedAt }) => !availability.down(invokedAt, respondedAt, slackMs));
  assert.deepEqual(outside, [], "errors while Redis itself took writes");
  // The proxy's own errors may say that the node has closed its connection; the client's must stay.
  assert.deepEqual(errors.filter(({ message }) => /closed/i.test(message) && !message.includes("may have been executed")), [], "a client's connection was closed");
  assert.deepEqual(findings.faults, []);
}

test("each master is killed in turn: errors only while Redis has none, unknown fates told, nothing run twice", async (t) => {
  await loseEachMaster(t, "killed", (master) => {
    master.child.signal("SIGKILL");
  }, async (master) => {
    await waitFor("the killed master has ended", limitMs, () => master.child.end !== undefined);
    await fixtures.cluster.restart(master);
  });
});

test("each master hangs in turn (SIGSTOP): the stall is bounded, errors only while Redis has no master, nothing run twice", async (t) => {
  await loseEachMaster(t, "stopped", (master) => {
    master.child.signal("SIGSTOP");
  }, (master) => {
    master.child.signal("SIGCONT");
    return Promise.resolve();
  });
});
