/** A drift check says nothing while what runs is what was declared, whatever happens to it, and misses nothing that is changed. */
import assert from "node:assert/strict";
import { chmodSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";

import { Random } from "../support/random.ts";
import { sized, soak } from "../support/soak.ts";
import { waitFor } from "../support/wait-for.ts";
import { DriftingEnvironment } from "./support/drifting-environment.ts";

const limitMs = 60_000;
const stormConnections = 300;
/** Of the load: a command every so many milliseconds. */
const loadPauseMs = 5;

describe("a drift check", () => {
  let drifting: DriftingEnvironment;
  let ports: readonly number[];

  before(async () => {
    // On several hosts: wherever a failover puts the masters, their replicas are where they were declared to be.
    drifting = await DriftingEnvironment.start(["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    ports = drifting.environment.nodePorts;
  });
  after(() => drifting.environment.stop());

  async function failOver(): Promise<void> {
    const [shard] = await drifting.shards();
    await drifting.tell(shard!.replicas[0]!, ["CLUSTER", "FAILOVER"]);
  }

  async function eachNode(command: string): Promise<void> {
    // A node that is saving already answers with an error, and goes on saving.
    await Promise.all(ports.map((port) => drifting.tell(port, [command]).catch(() => undefined)));
  }

  /** Clients that come, say nothing, and go. */
  async function storm(): Promise<void> {
    const targets = [...ports, drifting.environment.proxyPort].map((port) => ({ host: drifting.environment.hostOf(port), port }));
    const sockets = Array.from({ length: stormConnections }, (_, index) => connect(targets[index % targets.length]!).on("error", () => undefined));
    await pause(500);
    for (const socket of sockets) socket.destroy();
  }

  async function killAndRecover(): Promise<void> {
    const [shard, other] = (await drifting.shards()).slice(-2);
    await drifting.kill(`nodes/${shard!.master}/redis-server.process`);
    await waitFor("its replica has taken over", limitMs, async () => (await drifting.members(other!.master)).get(shard!.replicas[0]!)!.slots > 0);
    await drifting.environment.mend();
  }

  async function restartNode(): Promise<void> {
    const [shard] = await drifting.shards();
    const port = shard!.replicas[0]!;
    const conf = drifting.at(port, "redis.conf");
    await drifting.restartWith(`nodes/${port}/redis-server.process`, conf, (text) => text, { program: "/usr/bin/redis-server", args: [conf], directory: drifting.at(port, "data"), logFile: drifting.at(port, "redis.log") });
  }

  const happenings = [failOver, () => eachNode("BGSAVE"), storm, restartNode, () => eachNode("BGREWRITEAOF"), killAndRecover, failOver];

  test(`is quiet under load through failovers, saves, rewrites, storms and restarts (${sized(happenings.length, 50)} checks)`, async () => {
    const { passwords } = await drifting.environment.outputs();
    const read = (name: string): Buffer => readFileSync(drifting.at("client", name));
    const tls = { ca: read("ca.crt"), cert: read("client.crt"), key: read("client.key"), servername: "localhost" };
    const client = new Redis({ port: drifting.environment.proxyPort, username: "alice", password: passwords["alice"]!, tls, protocol: 2, disableClientInfo: true, enableReadyCheck: false });
    client.on("error", () => undefined);
    const load = { over: false, done: 0 };
    const loading = (async () => {
      while (!load.over) {
        // What a client sees of a failover is tested elsewhere.
        await client.set(`load:${load.done % 1000}`, "v").then(() => load.done++, () => undefined);
        await pause(loadPauseMs);
      }
    })();
    try {
      for (let round = 0; round < sized(happenings.length, 50); round++) {
        const happening = happenings[round % happenings.length]!;
        await happening();
        const { status, problem, differences } = await drifting.check();
        assert.deepEqual({ status, problem, differences }, { status: 0, problem: "", differences: [] }, `check ${round}, after ${happening.name}`);
      }
    } finally {
      load.over = true;
      await loading;
      client.disconnect();
    }
    assert.ok(load.done > 100, "there was a load");
  });

  /** Changes one fact; gives what puts it back, and what the check must name. */
  async function mutate(random: Random): Promise<{ readonly what: string; readonly undo: () => Promise<unknown> }> {
    const port = random.pick(ports);
    switch (random.below(3)) {
      case 0:
        return mutateParameter(port, random);
      case 1:
        return mutateUser(port, random);
      default:
        return mutateFile(port, random);
    }
  }

  async function mutateParameter(port: number, random: Random): Promise<{ what: string; undo: () => Promise<unknown> }> {
    const [words] = (await drifting.tell(port, ["CONFIG", "GET", "*"])) as [string[]];
    for (;;) {
      const index = 2 * random.below(words.length / 2);
      const [name, value] = [words[index]!, words[index + 1]!];
      const other = value === "yes" ? "no" : value === "no" ? "yes" : /^\d+$/.test(value) ? String(Number(value) + 1) : undefined;
      // What would part the node from the others brings more findings than its own; a former name is told by the current one; with
      // a byte of memory for all clients nobody is let in who could read it, which is told instead.
      if (other === undefined || /^tls-(port|cluster|replication)$|^cluster-announce|slave|ziplist|lua-time-limit|^maxmemory-clients$/.test(name)) continue;
      const [reply] = await drifting.tell(port, ["CONFIG", "SET", name, other]).catch(() => ["refused"]);
      if (reply !== "OK") continue;
      return { what: `parameter ${name}`, undo: () => drifting.tell(port, ["CONFIG", "SET", name, value]) };
    }
  }

  async function mutateUser(port: number, random: Random): Promise<{ what: string; undo: () => Promise<unknown> }> {
    const user = random.pick(["proxy", "replica-user", "provisioner", "default"]);
    const rule = random.pick(["+get", "~x:*", "&news", ">password", "+@read", "-ping"]);
    const [lines] = (await drifting.tell(port, ["ACL", "LIST"])) as [string[]];
    const [, , ...rules] = lines.find((line) => line.startsWith(`user ${user} `))!.split(" ");
    // The default user may do nothing already.
    const change = rule === "-ping" && user === "default" ? "on" : rule;
    await drifting.tell(port, ["ACL", "SETUSER", user, change]);
    return { what: `user ${user}`, undo: () => drifting.tell(port, ["ACL", "SETUSER", user, "reset", ...rules]) };
  }

  function mutateFile(port: number, random: Random): { what: string; undo: () => Promise<unknown> } {
    const name = random.pick(["redis.conf", "users.acl", "server.key", "server.crt", "ca.crt"]);
    const file = drifting.at(port, name);
    const declared = readFileSync(file);
    const changed = Buffer.from(declared);
    const bit = random.below(3) === 0;
    if (bit) chmodSync(file, 0o640);
    else {
      changed[random.below(changed.length)]! ^= 1;
      writeFileSync(file, changed);
    }
    const undo = (): Promise<void> => {
      writeFileSync(file, declared);
      chmodSync(file, 0o600);
      assert.equal(lstatSync(file).size, declared.length);
      return Promise.resolve();
    };
    return { what: `${bit ? "mode" : "content"} of ${name}`, undo };
  }

  test(`finds one changed fact, whichever it is (${sized(6, 200)} rounds)`, async () => {
    const seed = soak ? Math.floor(Math.random() * 2 ** 31) : 1;
    const random = new Random(seed);
    for (let round = 0; round < sized(6, 200); round++) {
      const { what, undo } = await mutate(random);
      const { status, differences } = await drifting.check();
      assert.deepEqual([status, differences.map(({ thing }) => thing)], [7, [what]], `seed ${seed}, round ${round}`);
      await undo();
    }
    assert.equal((await drifting.check()).status, 0);
  });
});
