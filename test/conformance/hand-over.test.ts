/** A proxy that another one takes the place of: clients come, ask and leave all the while, and none of them notices. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { bundleProxy, proxyNodeArguments } from "../../components/proxy-bundle.ts";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import type { Fixtures } from "../support/cluster-behind-proxy.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor, within } from "../support/wait-for.ts";

const handOvers = 6;
const arrivalMs = 5;
/** More would only wait for each other: the machine is shared. */
const mostUnderWay = 20;
const handOverLimitMs = 20_000;

/** One proxy after another in the place of the first. */
class Line {
  readonly #fixtures: Fixtures;
  #pid: number | undefined;

  constructor(fixtures: Fixtures) {
    this.#fixtures = fixtures;
  }

  get #directory(): string {
    return this.#fixtures.proxy.directory;
  }

  get successorFile(): string {
    return join(this.#directory, "successor.json");
  }

  /** Who serves now. */
  get pid(): number {
    return this.#pid ?? this.#fixtures.proxy.child.pid;
  }

  /** Names what SIGUSR2 starts; the same program with other arguments by default. */
  prepare(...further: string[]): void {
    const command = [process.execPath, ...proxyNodeArguments, bundleProxy(join(this.#directory, "proxy.mjs")).path, "--config", join(this.#directory, "proxy.yaml"), "--successor", this.successorFile, ...further];
    writeFileSync(this.successorFile, JSON.stringify({ command: ["/bin/sh", "-c", 'echo $$ > "$0"; exec "$@"', this.#pidFile, ...command], environment: process.env }), { mode: 0o600 });
  }

  /** Has another process take the place of the one that serves, and waits for the end of that. `begun` is called once the other has a process. */
  async handOver(begun: (former: number) => void = () => undefined): Promise<void> {
    const former = this.pid;
    rmSync(this.#pidFile, { force: true });
    process.kill(former, "SIGUSR2");
    await waitFor("a successor is started", handOverLimitMs, () => existsSync(this.#pidFile) && readFileSync(this.#pidFile, "utf8").endsWith("\n"));
    this.#pid = Number(readFileSync(this.#pidFile, "utf8"));
    begun(former);
    await waitFor("the process before it ends", handOverLimitMs, () => !isAlive(former));
  }

  stop(): void {
    if (this.#pid !== undefined && isAlive(this.#pid)) process.kill(this.#pid, "SIGKILL");
  }

  get #pidFile(): string {
    return join(this.#directory, "successor.pid");
  }
}

/** A successor whose predecessor is the test: it says when what is asked for is handed over. */
class SuccessorByHand {
  log = "";
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcess;

  /** @param change the keys of proxy.yaml that are other ones, made from the entry of the proxy's database */
  constructor({ proxy: { directory } }: Fixtures, change: (database: Readonly<Record<string, unknown>>) => Record<string, unknown>) {
    const config = parse(readFileSync(join(directory, "proxy.yaml"), "utf8")) as { databases: [Record<string, unknown>] };
    const file = join(directory, "by-hand.yaml");
    writeFileSync(file, stringify({ ...config, ...change(config.databases[0]) }));
    this.#child = fork(bundleProxy().path, ["--config", file, "--take-over"], { execArgv: [...proxyNodeArguments], stdio: ["ignore", "pipe", "inherit", "ipc"] });
    this.#child.stdout!.on("data", (chunk: Buffer) => (this.log += chunk.toString()));
    this.ended = once(this.#child, "exit");
  }

  /** Which address it asks for next. */
  async asks(): Promise<unknown> {
    const [message] = (await within("a question", handOverLimitMs, once(this.#child, "message"))) as [{ ask: unknown }];
    return message.ask;
  }

  answer(address: unknown, socket?: Server): void {
    this.#child.send({ answer: address }, socket);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

for (const workers of [1, 2]) {
  describe(`with ${workers} process(es) for clients`, () => {
    const fixtures = clusterBehindProxy(threeMasters, { config: { workers }, successor: true });
    const line = new Line(fixtures);
    // They outlive whoever has started them.
    process.once("exit", () => {
      line.stop();
    });

    test(`${handOvers} times: every client that comes is let in, logged in and answered`, async () => {
      const failures: string[] = [];
      const over = new AbortController();
      let [served, underWay] = [0, 0];
      const visit = async (number: number): Promise<void> => {
        const client = await RawConnection.open(fixtures.proxy);
        assert.equal(await client.ask("SET", `visitor:${number}`, String(number)), "+OK\r\n");
        // As one who thinks before it asks again.
        await pause(number % 100);
        assert.equal(await client.ask("GET", `visitor:${number}`), `$${String(number).length}\r\n${number}\r\n`);
        client.close();
        served++;
      };
      const arriving = (async () => {
        for (let number = 0; !over.signal.aborted; number++) {
          await pause(arrivalMs);
          if (underWay >= mostUnderWay) continue;
          underWay++;
          visit(number).catch((error: unknown) => failures.push(String(error))).finally(() => underWay--);
        }
        await waitFor("the last clients have left", 20_000, () => underWay === 0);
      })();
      line.prepare();
      for (let i = 0; i < handOvers; i++) {
        const before = served;
        await line.handOver();
        await waitFor("clients are served by the successor", 20_000, () => served > before + mostUnderWay);
      }
      over.abort();
      await arriving;
      process.stdout.write(`${workers} process(es): ${served} clients came during ${handOvers} hand-overs\n`);
      assert.deepEqual(failures, []);
    });

    test("a successor that cannot start leaves all as it is", async () => {
      const former = line.pid;
      const client = await RawConnection.open(fixtures.proxy);
      line.prepare("--no-such-option");
      process.kill(former, "SIGUSR2");
      await waitFor("the log says why", 10_000, () => fixtures.proxy.child.log.includes("no successor; this process goes on"));
      assert.equal(await client.ask("PING"), "+PONG\r\n");
      (await RawConnection.open(fixtures.proxy)).close();
      client.close();
      line.prepare();
      await line.handOver();
      assert.notEqual(line.pid, former);
      (await RawConnection.open(fixtures.proxy)).close();
    });

    test("a successor whose predecessor is killed before it has begun serves all the same", async () => {
      await line.handOver((former) => {
        process.kill(former, "SIGKILL");
      });
      await waitFor("clients are let in", handOverLimitMs, () => RawConnection.open(fixtures.proxy).then((client) => {
        client.close();
        return true;
      }, () => false));
    });

    test("a successor that does not reach the database that the process before it reaches takes no client", async () => {
      const [closed] = await findFreePorts(1);
      const { directory, child } = fixtures.proxy;
      const config = parse(readFileSync(join(directory, "proxy.yaml"), "utf8")) as { databases: [Record<string, unknown>] };
      const file = join(directory, "elsewhere.yaml");
      writeFileSync(file, stringify({ ...config, databases: [{ ...config.databases[0], uri: `rediss://127.0.0.1:${closed!}?mode=cluster`, nodes: undefined }] }), { mode: 0o600 });
      const former = line.pid;
      line.prepare("--config", file);
      process.kill(former, "SIGUSR2");
      const underWay: string[] = [];
      await waitFor("the log says why", handOverLimitMs, async () => {
        const client = await RawConnection.open(fixtures.proxy);
        underWay.push(await client.ask("SET", "meanwhile", "1"));
        client.close();
        return child.log.includes("is not reached within 10000 ms, and what runs now reaches it");
      });
      assert.deepEqual(new Set(underWay), new Set(["+OK\r\n"]));
      await waitFor("the process before it goes on", handOverLimitMs, () => /is not reached within[^]*no successor; this process goes on/.test(child.log));
      assert.ok(isAlive(former));
      line.prepare();
    });

    for (const occupied of ["its admin endpoint", "another database"] as const) {
      test(`a successor that takes clients, and then finds the address of ${occupied} occupied, lets them finish`, async () => {
        const { adminPort } = fixtures.proxy;
        const [port] = await findFreePorts(1);
        const successor = new SuccessorByHand(fixtures, (database) => {
          const moved = { ...database, listen: `127.0.0.1:${port!}` };
          return occupied === "another database" ? { admin: undefined, databases: [moved, { ...moved, name: "further", listen: `127.0.0.1:${adminPort}` }] } : { databases: [moved] };
        });
        try {
          const door = createServer().listen(port, "127.0.0.1");
          await once(door, "listening");
          successor.answer(await successor.asks(), door);
          const next = await successor.asks();
          door.close();
          const client = await RawConnection.open(fixtures.proxy, "alice", undefined, port);
          successor.answer(next);
          await waitFor("it knows that it cannot start", 10_000, () => successor.log.includes("draining"));
          assert.equal(await client.ask("SET", "guest", "1"), "+OK\r\n");
          client.close();
          assert.deepEqual(await within("its end", 10_000, successor.ended), [1, null]);
        } finally {
          successor.stop();
        }
      });
    }

    test("signals that come while a successor starts have it do what they ask for when it has", async () => {
      const [port, adminPort] = await findFreePorts(2);
      const successor = new SuccessorByHand(fixtures, (database) => ({ admin: { listen: `127.0.0.1:${adminPort!}` }, databases: [{ ...database, listen: `127.0.0.1:${port!}` }] }));
      try {
        const first = await successor.asks();
        successor.signal("SIGHUP");
        successor.signal("SIGUSR2");
        successor.answer(first);
        successor.answer(await successor.asks());
        await waitFor("it takes its configuration over once more", 10_000, () => successor.log.includes('"configuration taken over"'));
        assert.match(successor.log, /"no successor: SIGUSR2 starts what the file of --successor names, and there is none/);
        (await RawConnection.open(fixtures.proxy, "alice", undefined, port)).close();
      } finally {
        successor.stop();
      }
    });
  });
}
