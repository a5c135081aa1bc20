import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionSummary } from "../../proxy/server/serving.ts";
import type { SessionDetail } from "../../proxy/server/session-state.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { keyOnEachMaster } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor } from "../support/wait-for.ts";

const fixtures = clusterBehindProxy(undefined, { limits: { max_client_output_bytes: 1_048_576 } });

type Detail = SessionSummary & SessionDetail;

async function page(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${fixtures.proxy.adminPort}${path}`);
  return { status: response.status, text: await response.text() };
}

async function sessions(): Promise<SessionSummary[]> {
  return JSON.parse((await page("/debug/sessions")).text) as SessionSummary[];
}

/** All that is told of a client's session, once `holds` of it. */
async function detailOf(client: RawConnection, what: string, holds: (detail: Detail) => boolean): Promise<Detail> {
  const remote = `127.0.0.1:${client.socket.localPort!}`;
  return waitFor(what, 5_000, async () => {
    const session = (await sessions()).find((one) => one.remote === remote);
    if (session === undefined) return false;
    const detail = JSON.parse((await page(`/debug/sessions/${session.session}`)).text) as Detail;
    return holds(detail) && detail;
  });
}

/** Keeps its node busy for a second and a half, by the node's own clock. */
const busyScript = `
  local function now() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end
  local till = now() + 1500
  repeat for i = 1, 10000 do end until now() >= till
  return 1`;

test("the list tells of each session who it is, from where, as whom in which database, and that it waits for nothing", async () => {
  const client = await RawConnection.open(fixtures.proxy);
  await client.ask("PING");
  const stranger = await RawConnection.anonymous(fixtures.proxy);
  const [first, second] = await waitFor("both are there", 5_000, async () => {
    const all = await sessions();
    return all.length === 2 && all;
  });
  // Where several workers serve, it tells which one has the session.
  const { worker, ...told } = { worker: 1, ...first! };
  assert.equal(typeof worker, "number");
  assert.deepEqual(
    { ...told, seconds: 0, session: 0, user: "", roles: [] },
    { session: 0, user: "", roles: [], remote: `127.0.0.1:${client.socket.localPort!}`, database: "example-redis", seconds: 0, redisUser: "alice", requests: 0, bytes: { in: 0, held: 0, out: 0 }, pausedFor: [] },
  );
  assert.deepEqual([first!.roles, second!.redisUser, first!.seconds >= 0], [["access"], undefined, true]);
  client.close();
  stranger.close();
  await waitFor("both have left", 5_000, async () => (await sessions()).length === 0);
  assert.equal((await page(`/debug/sessions/${first!.session}`)).status, 404);
  assert.equal((await page("/debug/sessions/x")).status, 404);
});

test("requests under way are told by name, node and age, and held replies by their bytes; keys, values and scripts are not told", async () => {
  const client = await RawConnection.open(fixtures.proxy);
  const [[busyPort, busyKey], [otherPort, otherKey]] = [...(await keyOnEachMaster(fixtures.cluster, "hidden:"))] as [[number, string], [number, string]];
  await client.ask("SET", otherKey, "hidden-value-".repeat(20));
  client.send("EVAL", busyScript, "1", busyKey);
  client.send("SET", busyKey, "hidden-value");
  client.send("GET", otherKey);
  client.send("HIDDEN-NONSENSE", "hidden-argument");
  const detail = await detailOf(client, "the other node has answered", ({ bytes }) => bytes.held > 0);
  const node = `127.0.0.1:${busyPort}`;
  assert.deepEqual(detail.queue.slice(0, 2).map((one) => [one.command, one.node]), [["eval", node], ["set", node]]);
  assert.ok(detail.queue.every(({ node: where }) => where !== `127.0.0.1:${otherPort}`), "what is answered waits for nobody");
  assert.ok(detail.queue[0]!.ms >= 0 && detail.queue[0]!.ms < 5_000);
  assert.ok(detail.requests >= 3);
  assert.doesNotMatch(JSON.stringify(detail), /hidden/i);
  assert.doesNotMatch((await page("/debug/sessions")).text, /hidden|redis\.call/i);
  assert.equal((await client.replies(4))[0], ":1\r\n");
  client.close();
});

test("a command that waits, a subscription and a client that does not read are told as what they are", async () => {
  const waiting = await RawConnection.open(fixtures.proxy);
  waiting.send("BLPOP", "nothing-comes", "0");
  waiting.send("GET", "behind");
  const blocked = await detailOf(waiting, "it waits", ({ pausedFor }) => pausedFor.includes("a command waits in Redis"));
  assert.deepEqual([blocked.queue.map(({ command }) => command), blocked.connections.map(({ why }) => why)], [["blpop"], ["a command that waits"]]);
  assert.ok(blocked.bytes.in > 0, "what comes behind it is not taken");
  const subscribed = await RawConnection.open(fixtures.proxy);
  await subscribed.ask("SUBSCRIBE", "some-channel");
  const listening = await detailOf(subscribed, "it is subscribed", ({ connections }) => connections.length > 0);
  assert.deepEqual([listening.connections[0]!.why, listening.queue, listening.pausedFor], ["subscription", [], []]);
  const slow = await RawConnection.open(fixtures.proxy);
  await slow.ask("SET", "large", "x".repeat(100_000));
  slow.socket.pause();
  for (let i = 0; i < 300; i++) slow.send("GET", "large");
  const stalled = await detailOf(slow, "it is held back", ({ pausedFor }) => pausedFor.includes("the client does not read its replies"));
  assert.ok(stalled.bytes.out + stalled.bytes.held > 1_048_576);
  for (const client of [waiting, subscribed, slow]) client.close();
});
