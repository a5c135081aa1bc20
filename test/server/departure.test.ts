/** A session that is to end does so at a moment at which its client misses nothing. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

/** For so long one that has come or asked is served on. */
const visitMs = 3_000;
/** After so long one counts as idle. */
const idleMs = visitMs + 100;
/** For so long one that never pauses is served on. */
const lastRequestsMs = 2_000;
const promptMs = 500;

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

test("one that has just come may log in and ask, and is let go three seconds later", async () => {
  const { client, session } = await cluster.connect(cluster.database());
  const came = performance.now();
  session.drain();
  assert.equal(await client.ask("AUTH", "alice", "secret"), "+OK\r\n");
  for (let i = 0; i < 10; i++) {
    assert.match(await client.ask("GET", `k${i}`), /^\$/);
    await pause(20);
  }
  await client.closed(visitMs + promptMs);
  assert.ok(performance.now() - came > visitMs - promptMs);
});

test("one that has been there for a while and is owed nothing is let go at once", async () => {
  const { client, session } = await cluster.open(cluster.database());
  await pause(idleMs);
  session.drain();
  await client.closed(promptMs);
});

test("what those have sent by their end who have been there for a while is answered, though it was not read yet", async () => {
  const database = cluster.database();
  const [one, other] = [await cluster.open(database), await cluster.open(database)];
  await pause(idleMs);
  one.client.send("SET", "one", "value");
  for (const { session } of [one, other]) session.drain();
  // Beside the end of the first.
  setImmediate(() => {
    other.client.send("SET", "other", "value");
  });
  for (const { client } of [one, other]) {
    assert.equal(await client.reply(), "+OK\r\n");
    await client.closed(promptMs);
  }
});

test("a login under way is answered, and what was sent behind it", async () => {
  const { client, session } = await cluster.connect(cluster.database());
  let answer = (): void => undefined;
  cluster.on(0, ([name, user], connection) => {
    if (name !== "AUTH" || user !== "alice") return null;
    answer = () => connection.write("+OK\r\n");
    return undefined;
  });
  client.write(Buffer.concat([encodeCommand(["AUTH", "alice", "secret"]), encodeCommand(["PING"])]));
  await waitFor("the login is at its node", 1_000, () => cluster.nodes[0]!.got("AUTH").includes("AUTH alice secret"));
  session.drain();
  await pause(50);
  cluster.on(0, () => null);
  answer();
  assert.deepEqual(await client.replies(2), ["+OK\r\n", "+PONG\r\n"]);
  await client.closed(visitMs + promptMs);
});

test("a request of which half has come is answered when the rest has, however long that takes, and none behind it is taken then", async () => {
  const { client, session } = await cluster.open(cluster.database());
  const request = encodeCommand(["SET", "key", "value"]);
  client.write(request.subarray(0, 10));
  await pause(idleMs);
  session.drain();
  await pause(lastRequestsMs + 200);
  client.write(Buffer.concat([request.subarray(10), encodeCommand(["SET", "key", "other"])]));
  assert.equal(await client.reply(), "+OK\r\n");
  await client.closed(promptMs);
  assert.equal(client.waiting, 0);
});

test("one that subscribes has its confirmations before it is let go", async () => {
  const { client, session } = await cluster.open(cluster.database());
  let confirm: (() => void) | undefined;
  for (const index of [0, 1]) {
    cluster.on(index, ([name], connection) => {
      if (name !== "SUBSCRIBE") return null;
      confirm = () => connection.write("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
      return undefined;
    });
  }
  await pause(idleMs);
  client.send("SUBSCRIBE", "a", "b");
  await waitFor("it is at its node", 1_000, () => confirm !== undefined);
  session.drain();
  await pause(50);
  confirm!();
  for (const channel of ["a", "b"]) assert.match(await client.reply(1_000), new RegExp(`subscribe\r\n\\$1\r\n${channel}`));
  await client.closed(promptMs);
});

test("one that never pauses is let go all the same, behind the answers to all that was taken from it", async () => {
  const { client, session } = await cluster.open(cluster.database());
  await pause(idleMs);
  const key = cluster.key(0);
  cluster.on(0, ([name], connection) => {
    if (name !== "GET") return null;
    setTimeout(() => connection.write("$1\r\nv\r\n"), 500);
    return undefined;
  });
  const end = { seen: false };
  client.socket.once("end", () => (end.seen = true));
  const began = performance.now();
  // There is always one that waits for its answer.
  for (let sent = 0; !end.seen && performance.now() - began < 3 * visitMs; sent++) {
    client.send("GET", key);
    if (sent === 5) session.drain();
    await pause(5);
  }
  assert.ok(end.seen);
  assert.ok(performance.now() - began > visitMs);
  assert.equal(client.waiting, cluster.nodes[0]!.got("GET").length);
});
