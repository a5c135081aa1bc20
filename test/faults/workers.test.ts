import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { parse, stringify } from "yaml";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { isAlive } from "../support/is-alive.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor, within } from "../support/wait-for.ts";

const workers = 2;
const fixtures = clusterBehindProxy(threeMasters, { config: { workers } });

interface Ready {
  readonly ok: boolean;
  readonly detail: { readonly draining: boolean; readonly workers: readonly { readonly worker: number; readonly pid: number; readonly sessions?: number; readonly state: string }[] };
}

async function ready(page = "readyz"): Promise<Ready> {
  return (await (await fetch(`http://127.0.0.1:${fixtures.proxy.adminPort}/${page}`)).json()) as Ready;
}

const states = ({ detail }: Ready): string[] => detail.workers.map(({ state }) => state);
const allServe = async (): Promise<Ready | false> => {
  const answer = await ready();
  return states(answer).every((state) => state === "serving") && answer;
};

async function metric(name: string): Promise<number> {
  const line = (await fixtures.proxy.metrics()).split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line!.split(" ").at(-1));
}

/** A client that asks for one thing after the other, and says what became of it. */
class Client {
  static #last = 0;
  readonly name = `client:${++Client.#last}`;
  readonly connection: RawConnection;
  /** Increments that were answered; each answer was the right one. */
  answered = 0;
  closed = false;
  #stopped = false;
  #running: Promise<void> | undefined;

  private constructor(connection: RawConnection) {
    this.connection = connection;
  }

  static async open(): Promise<Client> {
    return new Client(await RawConnection.open(fixtures.proxy));
  }

  run(): void {
    this.#running = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.connection.close();
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      let reply: string;
      try {
        reply = await this.connection.ask("INCR", this.name);
      } catch {
        this.closed = true;
        return;
      }
      assert.equal(reply, `:${++this.answered}\r\n`);
    }
  }
}

async function open(count: number): Promise<Client[]> {
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) clients.push(await Client.open());
  return clients;
}

const at = (file: string): string => join(fixtures.proxy.directory, file);

/** Changes proxy.yaml and has it read; what kept it from being taken over, if something did. */
async function reload(change: (config: Record<string, unknown>) => void): Promise<string | undefined> {
  const config = parse(readFileSync(at("proxy.yaml"), "utf8")) as Record<string, unknown>;
  change(config);
  const looks = async (): Promise<number> => (await metric("redis_access_config_reloads_total")) + (await metric("redis_access_config_reload_failures_total"));
  const before = await looks();
  writeFileSync(at("proxy.yaml"), stringify(config));
  fixtures.proxy.child.signal("SIGHUP");
  await waitFor("the proxy has looked at its configuration", 10_000, async () => (await looks()) === before + 1);
  const { detail } = (await (await fetch(`http://127.0.0.1:${fixtures.proxy.adminPort}/healthz`)).json()) as { detail: { configuration: { problem?: string } } };
  return detail.configuration.problem;
}

test("clients are shared out evenly, and stay so when many have left one worker", async () => {
  const clients = await open(8);
  const sessions = async (): Promise<number[]> => (await ready()).detail.workers.map((worker) => worker.sessions!);
  assert.deepEqual(await sessions(), [4, 4]);
  // They were handed out in turn: every second one is at the same worker.
  for (const client of clients.filter((_, i) => i % 2 === 0)) client.connection.close();
  await waitFor("one worker has no client left", 5_000, async () => (await sessions()).includes(0));
  const others = await open(4);
  assert.deepEqual(await sessions(), [4, 4]);
  for (const { connection } of [...clients, ...others]) connection.close();
  await waitFor("all have left", 5_000, async () => (await sessions()).every((count) => count === 0));
});

test("a client that ends its side behind a pipeline gets every reply before the connection is closed", async () => {
  const connection = await RawConnection.open(fixtures.proxy);
  for (let i = 0; i < 200; i++) connection.send("INCR", "half-closed");
  connection.send("EVAL", "local n = 0 for i = 1, 1e6 do n = n + i end return 'slow'", "1", "half-closed");
  connection.socket.end();
  const replies = await connection.replies(201);
  assert.equal(replies.at(-1), "$4\r\nslow\r\n");
  await connection.closed();
});

test("a worker that is killed under load takes its own clients with it and no others, and is replaced", async () => {
  const clients = await open(10);
  for (const client of clients) client.run();
  await waitFor("all are served", 10_000, () => clients.every(({ answered }) => answered > 20));
  const killed = (await ready()).detail.workers[0]!;
  assert.equal(killed.sessions, 5);
  process.kill(killed.pid, "SIGKILL");
  const closed = await waitFor("its clients see their connections closed", 5_000, () => {
    const gone = clients.filter((client) => client.closed);
    return gone.length >= 5 && gone;
  });
  const during = await ready();
  assert.ok(during.ok, "the other one serves");
  const newcomer = await Client.open();
  newcomer.run();
  const after = await waitFor("it is replaced", 10_000, allServe);
  assert.notEqual(after.detail.workers[0]!.pid, killed.pid);
  const survivors = clients.filter((client) => !closed.includes(client));
  const seen = survivors.map(({ answered }) => answered);
  await waitFor("the others go on", 10_000, () => survivors.every(({ answered }, i) => answered > seen[i]! + 20) && newcomer.answered > 20);
  assert.deepEqual([closed.length, survivors.filter((client) => client.closed).length, newcomer.closed], [5, 0, false]);
  const next = await open(4);
  const { detail } = await ready();
  assert.deepEqual(detail.workers.map((worker) => worker.sessions), [4, 6], "the new worker fills up first");
  assert.equal(await metric("redis_access_workers_replaced_total"), 1);
  assert.equal(await metric("redis_access_workers"), workers);
  assert.match(readFileSync(at("proxy.log"), "utf8"), /"level":"error","message":"worker has ended, and is replaced","worker":1,.*SIGKILL/);
  await Promise.all([...clients, newcomer, ...next].map((client) => client.stop()));
  await waitFor("no seat is kept for who has gone", 5_000, async () => (await metric("redis_access_sessions_open")) === 0);
});

test("each client's commands are in the one audit file whole and in order, also those of a worker's last moments as far as it had sent them, over a rotation", async () => {
  const clients = await open(6);
  for (const client of clients) client.run();
  await waitFor("all are served", 10_000, () => clients.every(({ answered }) => answered > 100));
  renameSync(at("audit.log"), at("audit.log.1"));
  assert.equal(await reload(() => undefined), undefined);
  const seen = clients.map(({ answered }) => answered);
  await waitFor("all go on", 10_000, () => clients.every(({ answered }, i) => answered > seen[i]! + 100));
  process.kill((await waitFor("both serve", 10_000, allServe)).detail.workers[1]!.pid, "SIGKILL");
  await waitFor("its clients are gone", 5_000, () => clients.filter(({ closed }) => closed).length === 3);
  const survivors = clients.filter(({ closed }) => !closed);
  await Promise.all(clients.map((client) => client.stop()));
  const events = await waitFor("the survivors' ends are in the audit", 10_000, () => {
    const all = ["audit.log.1", "audit.log"].flatMap((file) => readFileSync(at(file), "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>));
    const own = clients.map(({ name }) => all.filter(({ keys }) => JSON.stringify(keys) === JSON.stringify([name])));
    const ends = survivors.map((client) => own[clients.indexOf(client)]![0]?.["session"]);
    return ends.every((session) => all.some((event) => event["event"] === "session_end" && event["session"] === session)) && own;
  });
  for (const [i, client] of clients.entries()) {
    const own = events[i]!;
    assert.equal(new Set(own.map(({ session }) => session)).size, 1, "session numbers are unique over the workers");
    assert.ok(own.every(({ outcome }) => outcome === "ok") || client.closed);
    const times = own.map(({ time }) => String(time));
    assert.deepEqual(times, [...times].sort());
    // Of a killed worker what waited for others in its memory is lost, as it would be with a proxy of one process.
    if (!client.closed) assert.equal(own.length, client.answered);
    else assert.ok(own.length > 100 && own.length <= client.answered + 1, `${own.length} of ${client.answered}`);
  }
  await waitFor("it is replaced", 10_000, allServe);
});

test("another configuration is taken over by all workers or by none", async () => {
  const version = async (): Promise<unknown> => (await fetch(`http://127.0.0.1:${fixtures.proxy.adminPort}/version`)).json();
  /** Both workers are asked, as connections go to the one that has fewer. */
  const limits = async (): Promise<string[]> => {
    const two = await open(2);
    const replies = await Promise.all(two.map(({ connection }) => connection.ask("SET", "k", "x".repeat(2_000))));
    for (const { connection } of two) connection.close();
    await waitFor("they have left", 5_000, async () => (await metric("redis_access_sessions_open")) === 0);
    return replies.map((reply) => reply.slice(0, 4));
  };
  assert.deepEqual(await limits(), ["+OK\r", "+OK\r"]);
  assert.equal(await reload((config) => { config["limits"] = { max_bulk_bytes: 1_024 }; }), undefined);
  assert.deepEqual(await limits(), ["-ERR", "-ERR"]);
  const good = await version();
  // One that only a worker can find unusable: the address in it is free, but not this machine's.
  const databases = (parse(readFileSync(at("proxy.yaml"), "utf8")) as { databases: Record<string, unknown>[] }).databases;
  const problem = await reload((config) => {
    config["limits"] = {};
    config["databases"] = [...databases, { ...databases[0], name: "other", listen: "192.0.2.1:7379" }];
  });
  assert.match(String(problem), /192\.0\.2\.1:7379/);
  assert.deepEqual(await version(), good);
  assert.deepEqual(await limits(), ["-ERR", "-ERR"]);
  // What one process refuses, all refuse: its files are read once, and made use of by each worker.
  const authority = readFileSync(at("db-client-ca.crt"));
  writeFileSync(at("db-client-ca.crt"), readFileSync(at("redis-ca.crt")));
  assert.match(String(await reload((config) => { Object.assign(config, { limits: {}, databases }); })), /client_auth/);
  assert.deepEqual(await version(), good);
  // Who takes a dead worker's place begins with what is in force, not with what is on disk.
  process.kill((await ready()).detail.workers[0]!.pid, "SIGKILL");
  await waitFor("it is replaced", 10_000, async () => (await ready()).detail.workers[0]?.state !== "serving");
  await waitFor("it is replaced", 10_000, allServe);
  assert.deepEqual(await limits(), ["-ERR", "-ERR"]);
  writeFileSync(at("db-client-ca.crt"), authority);
  assert.equal(await reload(() => undefined), undefined);
  assert.deepEqual(await limits(), ["+OK\r", "+OK\r"]);
});

test("a TLS session that one worker has given is taken up by another", async () => {
  const options = { host: "127.0.0.1", port: fixtures.proxy.port, ...fixtures.proxy.tls() };
  const handshake = async (version: "TLSv1.2" | "TLSv1.3", session?: Buffer): Promise<{ socket: TLSSocket; given: () => Buffer | undefined }> => {
    const socket = connect({ ...options, maxVersion: version, ...(session !== undefined && { session }) });
    let given: Buffer | undefined;
    socket.on("session", (ticket: Buffer) => (given = ticket));
    socket.on("error", () => undefined);
    await within("the handshake", 5_000, once(socket, "secureConnect"));
    assert.equal(await RawConnection.over(socket).ask("AUTH", "alice", fixtures.proxy.target.passwords["alice"]!), "+OK\r\n");
    return { socket, given: () => given };
  };
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const first = await handshake(version);
    // The first one stays: the next goes to the other worker, and so does every further one before it has left.
    const second = await handshake(version, await waitFor("a session", 5_000, first.given));
    assert.deepEqual((await ready()).detail.workers.map((worker) => worker.sessions), [1, 1]);
    assert.equal(second.socket.isSessionReused(), true, version);
    for (const { socket } of [first, second]) socket.destroy();
    await waitFor("they have left", 5_000, async () => (await metric("redis_access_sessions_open")) === 0);
  }
});

test("max_connections counts over all workers", async () => {
  assert.equal(await reload((config) => { config["limits"] = { max_connections: 3 }; }), undefined);
  const three = await open(3);
  const fourth = await RawConnection.anonymous(fixtures.proxy);
  assert.equal(await fourth.reply(), "-ERR max number of clients reached\r\n");
  process.kill((await ready()).detail.workers.find((worker) => worker.sessions === 2)!.pid, "SIGKILL");
  await waitFor("it is replaced", 10_000, async () => (await metric("redis_access_sessions_open")) === 1 && (await allServe()));
  const two = await open(2);
  for (const { connection } of [...three, ...two]) connection.close();
  assert.equal(await reload((config) => { delete config["limits"]; }), undefined);
});

test("what is counted adds up over the workers, and is not forgotten with one of them", async () => {
  await waitFor("nobody is there", 5_000, async () => (await metric("redis_access_sessions_open")) === 0);
  const count = (): Promise<number> => metric('redis_access_command_duration_seconds_count{database="example-redis",command="echo"}').catch(() => 0);
  const clients = await open(4);
  for (const { connection } of clients) for (let i = 0; i < 25; i++) await connection.ask("ECHO", "x");
  assert.equal(await count(), 100);
  process.kill((await ready()).detail.workers[0]!.pid, "SIGKILL");
  await waitFor("it is replaced", 10_000, async () => (await metric("redis_access_sessions_open")) === 2 && (await allServe()));
  assert.equal(await count(), 100);
  for (const { connection } of clients) connection.close();
});

test("a worker that hangs gets no new clients", async () => {
  const { detail } = await waitFor("both serve", 10_000, allServe);
  const hanging = detail.workers[0]!.pid;
  process.kill(hanging, "SIGSTOP");
  try {
    await waitFor("it is known to hang", 10_000, async () => (await ready()).detail.workers[0]!.state === "not serving");
    const clients = await within("clients are served", 10_000, open(6));
    for (const { connection } of clients) assert.equal(await connection.ask("PING"), "+PONG\r\n");
    for (const { connection } of clients) connection.close();
  } finally {
    process.kill(hanging, "SIGCONT");
  }
  await waitFor("it serves again", 10_000, allServe);
});

test("a worker that hangs and is then ended takes those clients with it that were still to be handed to it: each is served, or its connection closed", async () => {
  const { detail } = await waitFor("both serve", 10_000, allServe);
  const hanging = detail.workers[0]!.pid;
  process.kill(hanging, "SIGSTOP");
  const sockets = Array.from({ length: 20 }, () => fixtures.proxy.socket());
  try {
    const fates = sockets.map((socket) => new Promise<string>((resolve) => {
      socket.once("secureConnect", () => { resolve("served"); });
      socket.once("close", () => { resolve("closed"); });
    }));
    await waitFor("those of the other worker are served", 10_000, () => sockets.filter((socket) => socket.authorized).length >= 10);
    process.kill(hanging, "SIGKILL");
    const counts = await within("all others know", 5_000, Promise.all(fates));
    assert.ok(counts.includes("closed"), "none was to be handed to it: nothing was tried");
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  await waitFor("it is replaced", 10_000, allServe);
});

test("without the primary nothing is left of the proxy", async () => {
  const { detail } = await ready();
  process.kill(fixtures.proxy.child.pid, "SIGKILL");
  await waitFor("its workers have ended", 5_000, () => !detail.workers.some(({ pid }) => isAlive(pid)));
});
