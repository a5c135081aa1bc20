import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { MockCluster } from "../support/mock-cluster.ts";
import { waitFor } from "../support/wait-for.ts";

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

const isLoginOf = (user: string, [name, first]: readonly string[]): boolean => name === "AUTH" && first === user;
const loginsAt = (index: number): number => cluster.nodes[index]!.received.filter((command) => command.startsWith("AUTH alice")).length;
const wrongPassword = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/** A database whose nodes are known, so that all of them can be asked. */
async function preparedDatabase(): Promise<ReturnType<MockCluster["database"]>> {
  const database = cluster.database();
  await waitFor("the database is ready", 5_000, () => database.ready);
  return database;
}

for (const reply of ["-LOADING Redis is loading the dataset in memory", "-ERR max number of clients reached", "-DENIED Redis is running in protected mode", "+OKAY", "+QUEUED", ":1", "*1\r\n+OK"]) {
  test(`${JSON.stringify(reply)} in reply to AUTH settles nothing: the next node is asked`, async () => {
    const database = await preparedDatabase();
    cluster.on(0, (command) => (isLoginOf("alice", command) ? `${reply}\r\n` : null));
    cluster.on(1, (command) => (isLoginOf("alice", command) ? wrongPassword : null));
    const { client } = await cluster.connect(database);
    assert.equal(await client.ask("AUTH", "alice", "secret"), wrongPassword);
    cluster.on(1, () => null);
    assert.equal(await client.ask("AUTH", "alice", "secret"), "+OK\r\n");
  });
}

test("a wrong password is wrong at every node: one is asked", async () => {
  const database = await preparedDatabase();
  for (const index of [0, 1]) cluster.on(index, (command) => (isLoginOf("alice", command) ? wrongPassword : null));
  const { client } = await cluster.connect(database);
  assert.equal(await client.ask("AUTH", "alice", "wrong"), wrongPassword);
  assert.equal(loginsAt(0) + loginsAt(1), 1);
});

test("where no node settles a login, the client is told what each of them said", async () => {
  const database = await preparedDatabase();
  cluster.on(0, (command) => (isLoginOf("alice", command) ? "-LOADING Redis is loading the dataset in memory\r\n" : null));
  cluster.on(1, (command) => (isLoginOf("alice", command) ? "-ERR max number of clients reached\r\n" : null));
  const { client } = await cluster.connect(database);
  assert.match(await client.ask("AUTH", "alice", "secret"), /^-ERR Teleport: no node of database mock can be reached: .*LOADING.*max number of clients/);
  assert.equal(await client.ask("PING"), "-NOAUTH Authentication required.\r\n");
});

test("a login waits for a server that is being restarted, as commands do: clients connect anew at once where one has ended", async () => {
  const database = await preparedDatabase();
  for (const node of cluster.nodes) node.stop();
  const { client } = await cluster.connect(database);
  client.send("AUTH", "alice", "secret");
  await pause(500);
  assert.equal(client.waiting, 0);
  await cluster.nodes[1]!.restart();
  assert.equal(await client.reply(), "+OK\r\n");
});

test("a login waits for no longer than a command would", async () => {
  const database = cluster.database({ retryBudgetMs: 500 });
  await waitFor("the database is ready", 5_000, () => database.ready);
  for (const node of cluster.nodes) node.stop();
  const { client } = await cluster.connect(database);
  const began = performance.now();
  assert.match(await client.ask("AUTH", "alice", "secret"), /^-ERR Teleport: no node of database mock can be reached: .*ECONNREFUSED/);
  const took = performance.now() - began;
  assert.ok(took >= 450 && took < 2_000, `${took} ms`);
});

test("a node that hangs holds up the first login once, and the next ones not at all", async () => {
  const database = await preparedDatabase();
  cluster.on(0, (command) => (isLoginOf("alice", command) ? undefined : null));
  const { client } = await cluster.connect(database);
  const started = performance.now();
  const took = (): number => performance.now() - started;
  assert.equal(await client.ask("AUTH", "alice", "secret"), "+OK\r\n");
  // The mock's connectTimeoutMs is a second.
  assert.ok(took() < 1_900, `${took()} ms`);
  cluster.nodes[1]!.hangUp();
  const asked = loginsAt(0);
  const { client: next } = await cluster.connect(database);
  assert.equal(await next.ask("AUTH", "alice", "secret"), "+OK\r\n");
  assert.equal(loginsAt(0), asked, "the node that hangs was not asked again");
});

test("a node that takes no login for now is asked again and again, but not stormed; then commands are answered", async () => {
  const database = await preparedDatabase();
  const { client } = await cluster.open(database);
  const key = cluster.key(0);
  await client.ask("GET", key);
  let left = 4;
  const before = loginsAt(0);
  cluster.on(0, (command) => (isLoginOf("alice", command) && left-- > 0 ? "-LOADING Redis is loading the dataset in memory\r\n" : null));
  cluster.nodes[0]!.hangUp();
  const started = performance.now();
  assert.match(await client.ask("GET", key), /^\$\d+\r\nvalue of/);
  // Pauses of 50, 100, 200 and 400 ms.
  assert.ok(performance.now() - started >= 500);
  assert.equal(loginsAt(0) - before, 5);
});

test("a login whose answer has no end is no login", async () => {
  const database = await preparedDatabase();
  const { client } = await cluster.open(database);
  cluster.on(0, (command) => (isLoginOf("alice", command) ? "+".repeat(4_096) : null));
  cluster.nodes[0]!.hangUp();
  assert.match(await client.ask("GET", cluster.key(0)), /^-CLUSTERDOWN /);
});

test("an error that is too long for a redirection is passed on before its end has come", async () => {
  const { client } = await cluster.open(await preparedDatabase());
  const piece = "x".repeat(100_000);
  let finish = (): void => undefined;
  cluster.on(0, ([name], connection) => {
    if (name !== "GET") return null;
    finish = () => connection.write("\r\n");
    return `-MOVED ${piece}`;
  });
  let received = 0;
  client.socket.on("data", (chunk: Buffer) => (received += chunk.length));
  client.send("GET", cluster.key(0));
  await waitFor("the bytes are at the client", 5_000, () => received === piece.length + 7);
  finish();
  assert.equal(await client.reply(), `-MOVED ${piece}\r\n`);
  assert.equal(await client.ask("PING"), "+PONG\r\n");
});

test("however many users there are, Redis is asked about each of them in turn", async () => {
  const database = await preparedDatabase();
  const users = Array.from({ length: 250 }, (_, i) => `user${i}`);
  await Promise.all(users.map(async (user) => (await cluster.connect(database)).client.ask("AUTH", user, "secret")));
  for (const node of cluster.nodes) node.received.length = 0;
  const asked = (): Set<string | undefined> => new Set(cluster.nodes.flatMap((node) => node.got("AUTH").map((command) => command.split(" ")[1])));
  await waitFor("each was asked about", 6_000, () => users.every((user) => asked().has(user)));
});
