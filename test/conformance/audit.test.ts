import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { waitFor, within } from "../support/wait-for.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { Relay } from "../support/relay.ts";
import { RawConnection } from "../support/raw-connection.ts";

const fixtures = clusterBehindProxy();

/** The audit's events of one client, known by its address, once `complete` says that all are there. */
async function eventsOf(client: RawConnection, complete: (events: Record<string, unknown>[]) => boolean): Promise<Record<string, unknown>[]> {
  const remote = `127.0.0.1:${portOf(client)}`;
  return waitFor(`the audit of ${remote} is complete`, 10_000, () => {
    const events = fixtures.proxy.audit().filter((event) => event["remote"] === remote);
    return complete(events) && events;
  });
}

const ports = new WeakMap<RawConnection, number>();
/** A socket forgets its address when it is closed. */
function portOf(client: RawConnection): number {
  if (!ports.has(client)) ports.set(client, client.socket.localPort!);
  return ports.get(client)!;
}

async function open(): Promise<RawConnection> {
  const client = await RawConnection.open(fixtures.proxy);
  portOf(client);
  return client;
}

const ended = (events: Record<string, unknown>[]): boolean => events.at(-1)?.["event"] === "session_end";
const commandsOf = (events: Record<string, unknown>[]): unknown[][] =>
  events.filter(({ event }) => event === "command").map(({ command, keys, outcome }) => [command, keys, outcome]);

test("a session's events are its start, its logins, each command with keys and outcome, and its end, in order", async () => {
  const client = await RawConnection.anonymous(fixtures.proxy);
  portOf(client);
  const password = fixtures.proxy.target.passwords["alice"]!;
  client.write(`GET early\r\nAUTH alice wrong\r\nAUTH alice ${password}\r\nSET a 1\r\nLPUSH a 2\r\nMGET a b\r\nCONFIG GET *\r\nscript load "return 1"\r\n`);
  client.write("NONSENSE x\r\nSET a\r\nEVAL \"return redis.call('GET', KEYS[1])\" 1 a 2\r\nSUBSCRIBE c d\r\nGET a\r\nMULTI\r\nUNSUBSCRIBE\r\nPING\r\nQUIT\r\n");
  await client.closed();
  const events = await eventsOf(client, ended);
  assert.deepEqual(
    events.filter(({ event }) => event !== "command").map(({ event, ok }) => [event, ok]),
    [["session_start", undefined], ["authentication", false], ["authentication", true], ["session_end", undefined]],
  );
  assert.deepEqual(commandsOf(events), [
    ["get", ["early"], "NOAUTH"],
    ["set", ["a"], "ok"],
    ["lpush", ["a"], "WRONGTYPE"],
    ["mget", ["a", "b"], "ok"],
    ["config|get", [], "denied"],
    ["script|load", [], "ok"],
    ["(unknown command)", [], "ERR"],
    ["set", ["a"], "ERR"],
    ["eval", ["a"], "ok"],
    ["subscribe", [], "ok"],
    ["get", ["a"], "ERR"],
    ["multi", [], "denied"],
    ["unsubscribe", [], "ok"],
    ["ping", [], "ok"],
    ["quit", [], "ok"],
  ]);
  assert.equal(events.at(-1)!["denied"], 2);
});

test("neither values nor passwords nor messages are in the audit or in the log, whatever became of their commands", async () => {
  const secret = "fd8f2c1e-not-to-be-seen";
  const client = await RawConnection.anonymous(fixtures.proxy);
  portOf(client);
  client.write(`AUTH alice ${secret}\r\nAUTH ${secret}\r\nAUTH a b ${secret}\r\nHELLO 3 AUTH alice ${secret}\r\n`);
  client.write(`AUTH alice ${fixtures.proxy.target.passwords["alice"]!}\r\n`);
  for (const command of [`SET k ${secret}`, `CONFIG SET requirepass ${secret}`, `EVAL "return ARGV[1]" 0 ${secret}`, `PUBLISH c ${secret}`, `MSET {a}1 ${secret} {a}2 ${secret}`]) client.write(`${command}\r\n`);
  for (const command of [secret, `${secret} ${secret}`, `SET k v EX ${secret}`, `ACL SETUSER x >${secret}`, `SUBSCRIBE ${secret}`, `SET k ${secret}`, "QUIT"]) client.write(`${command}\r\n`);
  await client.closed();
  await eventsOf(client, ended);
  for (const file of ["audit.log", "proxy.log"]) {
    const text = readFileSync(join(fixtures.proxy.directory, file), "utf8");
    assert.ok(!text.includes(secret), `${file}: ${text.split("\n").find((line) => line.includes(secret)) ?? ""}`);
    assert.ok(!Object.values(fixtures.proxy.target.passwords).some((password) => text.includes(password)), file);
  }
});

test("the files that tell of people and keys are their owner's alone", () => {
  assert.equal(statSync(join(fixtures.proxy.directory, "audit.log")).mode & 0o777, 0o600);
});

test("no event is lost or out of order under load, and none stands twice", async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, open));
  const [batches, depth] = [10, 100];
  await Promise.all(
    clients.map(async (client, c) => {
      for (let batch = 0; batch < batches; batch++) {
        for (let i = 0; i < depth; i++) client.write(`INCR load:${c}:${batch * depth + i}\r\n`);
        await client.replies(depth);
      }
      client.send("QUIT");
      await client.closed();
    }),
  );
  const expected = (c: number): unknown[][] => [
    ...Array.from({ length: batches * depth }, (_, i) => ["incr", [`load:${c}:${i}`], "ok"]),
    ["quit", [], "ok"],
  ];
  for (const [c, client] of clients.entries()) assert.deepEqual(commandsOf(await eventsOf(client, ended)), expected(c));
});

test("an event is written after its command was executed, and tells how long that took", async () => {
  const client = await open();
  try {
    client.send("BLPOP", "awaited", "10");
    const other = await open();
    await waitFor("the client waits", 5_000, async () => (await other.ask("LPUSH", "awaited", "x")) === ":1\r\n");
    await client.reply();
    other.close();
    const [event] = (await eventsOf(client, (events) => events.some(({ command }) => command === "blpop"))).filter(({ command }) => command === "blpop");
    assert.equal(event!["outcome"], "ok");
    assert.ok(Number(event!["micros"]) > 0);
  } finally {
    client.close();
  }
});

test("a waiting command is not in the audit before it has ended", async () => {
  const client = await open();
  client.send("SET", "marker", "1");
  client.send("BLPOP", "never", "0");
  await client.reply();
  const before = await eventsOf(client, (events) => events.some(({ command }) => command === "set"));
  assert.ok(!before.some(({ command }) => command === "blpop"));
  client.close();
  assert.deepEqual(commandsOf(await eventsOf(client, ended)).at(-1), ["blpop", ["never"], "unanswered"]);
});

test("whatever was executed for a client that was cut off before the replies is in the audit", async () => {
  const relay = await Relay.start(fixtures.proxy.port);
  const client = await RawConnection.open(fixtures.proxy, "alice", undefined, relay.port);
  ports.set(client, relay.onwardPort);
  const slow = "local n = 0 while n < 40000000 do n = n + 1 end return redis.call('SET', KEYS[1], 'done')";
  client.send("PING");
  client.send("EVAL", slow, "1", "{left}");
  for (let i = 0; i < 200; i++) client.write(`SET {left}:${i} 1\r\n`);
  const nodes = fixtures.cluster.nodes.map((node) => fixtures.cluster.direct(node));
  await waitFor("a node is busy with the script", 5_000, async () => {
    const answers = await Promise.all(nodes.map((node) => within("an answer", 200, node.ping()).catch(() => "none")));
    return answers.includes("none");
  });
  for (const node of nodes) node.disconnect();
  relay.reset();
  client.close();
  const commands = commandsOf(await eventsOf(client, ended));
  const expected = [["ping", []], ["eval", ["{left}"]], ...Array.from({ length: 200 }, (_, i) => ["set", [`{left}:${i}`]])];
  assert.ok(commands.length >= 2);
  assert.deepEqual(commands.map(([name, keys]) => [name, keys]), expected.slice(0, commands.length));
  assert.ok(commands.slice(1).every(([, , outcome]) => outcome === "unanswered"), JSON.stringify(commands.slice(0, 5)));
  const checker = await open();
  for (const [, keys] of expected.slice(2)) checker.send("EXISTS", String(keys));
  const stored = await checker.replies(200);
  assert.ok(stored.lastIndexOf(":1\r\n") < commands.length - 2, "nothing was executed beyond what is in the audit");
  checker.close();
});
