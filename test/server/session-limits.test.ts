import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

/** Long enough that a busy machine gets from one line of a test to the next. */
const idleTimeoutMs = 400;

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

test("an idle client is dropped, also where its time was over once while a command of it was under way", async () => {
  const { client } = await cluster.open(cluster.database(), { limits: { idleTimeoutMs } });
  let began = 0;
  cluster.on(0, ([name], connection) => {
    if (name !== "GET") return null;
    began = performance.now();
    setTimeout(() => connection.write("$1\r\nx\r\n"), 3 * idleTimeoutMs);
    return undefined;
  });
  assert.equal(await client.ask("GET", cluster.key(0)), "$1\r\nx\r\n");
  assert.ok(performance.now() - began >= 3 * idleTimeoutMs - 10);
  await client.closed(5_000);
});

test("a client is not idle while its login is being checked", async () => {
  const { client } = await cluster.connect(cluster.database(), { limits: { idleTimeoutMs } });
  cluster.on(0, ([name, user], connection) => {
    if (name !== "AUTH" || user !== "alice") return null;
    setTimeout(() => connection.write("+OK\r\n"), 2 * idleTimeoutMs);
    return undefined;
  });
  assert.equal(await client.ask("AUTH", "alice", "secret"), "+OK\r\n");
});

test("a client that goes on sending after a protocol error is cut off all the same", async () => {
  const { client } = await cluster.open(cluster.database(), { limits: { clientStallMs: 200 } });
  client.socket.on("error", () => undefined);
  client.socket.allowHalfOpen = true;
  client.write("*1\r\n:1\r\n");
  assert.match(await client.reply(), /^-ERR Protocol error/);
  await waitFor("the proxy cuts it off", 3_000, () => {
    client.write("x");
    return client.socket.destroyed;
  });
});

test("replies that wait for one before them count as output: no more requests are taken than they leave room for", async () => {
  const { client } = await cluster.open(cluster.database(), { limits: { maxClientOutputBytes: 262_144 } });
  const value = "x".repeat(100_000);
  let release = (): void => undefined;
  cluster.on(0, ([name], connection) => {
    if (name !== "GET") return null;
    release = () => connection.write("$4\r\nslow\r\n");
    return undefined;
  });
  cluster.on(1, ([name]) => (name === "GET" ? `$${value.length}\r\n${value}\r\n` : null));
  const fast = cluster.key(1);
  client.send("GET", cluster.key(0));
  client.send("GET", fast);
  const asked = (): number => cluster.nodes[1]!.got("GET").length;
  // One request more whenever the one before it has come through: as long as there is room.
  let sent = 1;
  const cameThrough = (): Promise<boolean> => waitFor("the request comes through", 500, () => asked() === sent).then(() => true, () => false);
  while (sent < 20 && (await cameThrough())) {
    client.send("GET", fast);
    sent++;
  }
  assert.ok(asked() <= 4, `${asked()} replies of 100 kB are held`);
  release();
  const [first, ...others] = await client.replies(sent + 1);
  assert.equal(first, "$4\r\nslow\r\n");
  assert.ok(others.every((reply) => reply.length === value.length + 11));
});
