import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { AuditHealth } from "../access/audit.ts";
import type { LoadedConfig } from "../server/door.ts";
import type { Fleet, FleetChange, WorkerStatus } from "../server/fleet.ts";
import type { ListeningSockets } from "../server/listening-sockets.ts";
import type { Logger } from "../server/log.ts";
import type { MetricFamily } from "../server/metrics.ts";
import { processFamilies } from "../server/proxy-metrics.ts";
import { SeatCount } from "../server/seats.ts";
import type { SessionSummary } from "../server/serving.ts";
import type { SessionDetail } from "../server/session-state.ts";
import { makeTicketSecret } from "../server/ticket-keys.ts";
import { AuditFunnel } from "./audit-funnel.ts";
import { BackOff } from "./back-off.ts";
import { Gates } from "./gates.ts";
import { lastingFamilies, mergeMetrics } from "./merge-metrics.ts";
import { WorkerProcess } from "./worker-process.ts";

/** How often the workers are looked at, and after how many looks in a row without an answer one is ended and replaced. */
const LOOK_MS = 5_000;
const MOST_UNANSWERED = 6;
/** How long the workers' processes may outlive the time that clients have to finish. */
const LATE_MS = 5_000;

/**
 * A proxy that serves its clients by several processes. This one, the primary, accepts connections and hands each to the worker
 * with the fewest; it reads the configuration, writes the audit's file and counts the seats for all of them. It never sees a
 * byte of what clients say. A worker that dies is replaced; its clients are the only ones who notice.
 */
export class WorkerFleet implements Fleet {
  readonly #program: string;
  readonly #programSha256: string;
  readonly #log: Logger;
  readonly #gates: Gates;
  readonly #seats = new SeatCount(() => this.#loaded!.config.limits.maxConnections);
  /** By number. Absent where one has died and is not replaced yet. */
  readonly #workers = new Map<number, WorkerProcess>();
  readonly #backOffs = new Map<number, BackOff>();
  #loaded: LoadedConfig | undefined;
  #ticketSecret = makeTicketSecret();
  #audit: AuditFunnel | undefined;
  #draining = false;
  /** What workers had counted that are not there any more. */
  #former: readonly MetricFamily[] = [];
  #replaced = 0;
  #looks: NodeJS.Timeout | undefined;

  /** @param program file of this very program, which workers run as well */
  constructor(program: string, sockets: ListeningSockets, log: Logger) {
    this.#program = program;
    this.#programSha256 = createHash("sha256").update(readFileSync(program)).digest("hex");
    this.#log = log;
    this.#gates = new Gates(sockets, () => [...this.#workers.values()].filter(({ ready, leaving }) => ready && !leaving));
  }

  async start(loaded: LoadedConfig, reached: readonly string[]): Promise<void> {
    this.#loaded = loaded;
    const { audit, databases, workers } = loaded.config;
    if (audit !== undefined) this.#audit = await AuditFunnel.open(audit.file);
    await Promise.all(Array.from({ length: workers }, (_, i) => this.#bringUp(this.#fork(i + 1), reached)));
    for (const { name, listen } of databases) {
      await this.#gates.open(listen);
      this.#log.info("listening", { database: name, address: `${listen.host}:${listen.port}`, workers });
    }
    this.#looks = setInterval(() => {
      this.#look();
    }, LOOK_MS).unref();
  }

  async prepare(loaded: LoadedConfig): Promise<FleetChange> {
    const addresses = loaded.config.databases.map(({ listen }) => listen);
    const opened = await this.#gates.openMissing(addresses);
    const prepared = [...this.#workers.values()].filter(({ ready }) => ready);
    const discard = async (): Promise<void> => {
      this.#gates.discard(opened);
      await Promise.allSettled(prepared.map(({ calls }) => calls.call("discard", undefined)));
    };
    const results = await Promise.allSettled(prepared.map(({ calls }) => calls.call("prepare", loaded)));
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) {
      await discard();
      throw failure.reason;
    }
    return {
      apply: async () => {
        this.#loaded = loaded;
        // One that cannot is replaced by one that begins with the new configuration.
        const applied = prepared.map(({ calls }) => calls.call("apply", undefined));
        await Promise.all(applied.map((one, i) => one.catch(() => { prepared[i]!.kill(); })));
        const others = [...this.#workers.values()].filter((worker) => worker.ready && !prepared.includes(worker));
        await Promise.all(others.map((worker) => this.#catchUp(worker, undefined)));
        this.#gates.keep(addresses);
      },
      discard,
    };
  }

  async reopenAudit(): Promise<void> {
    await this.#audit?.reopen();
  }

  useTicketSecret(secret: Buffer): void {
    this.#ticketSecret = secret;
    for (const { calls } of this.#workers.values()) calls.tell("ticketSecret", secret);
  }

  async drain(): Promise<void> {
    this.#draining = true;
    clearInterval(this.#looks);
    this.#gates.keep([]);
    if (this.#loaded === undefined) return;
    const workers = [...this.#workers.values()];
    const drained = Promise.allSettled(workers.map((worker) => worker.drain()));
    const limitMs = this.#loaded.config.limits.drainMs + LATE_MS;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([drained, new Promise((resolve) => (timer = setTimeout(resolve, limitMs)))]);
    clearTimeout(timer);
    for (const worker of workers) if (!worker.drained) worker.kill();
    await Promise.all(workers.map(({ ended }) => ended));
    await this.#audit?.close();
  }

  status(): Promise<readonly WorkerStatus[]> {
    const numbers = Array.from({ length: this.#loaded!.config.workers }, (_, i) => i + 1);
    return Promise.all(
      numbers.map(async (number) => {
        const worker = this.#workers.get(number);
        return { worker: number, pid: worker?.pid ?? 0, status: await worker?.status() };
      }),
    );
  }

  auditFile(): AuditHealth | undefined {
    return this.#audit?.health();
  }

  async sessions(): Promise<readonly SessionSummary[]> {
    const workers = [...this.#workers.values()];
    const sessions = await Promise.all(workers.map(async (worker) => (await worker.sessions()).map((session) => ({ ...session, worker: worker.number }))));
    return sessions.flat().sort((a, b) => a.session - b.session);
  }

  async session(id: number): Promise<(SessionSummary & SessionDetail) | undefined> {
    const answers = await Promise.all([...this.#workers.values()].map((worker) => worker.session(id)));
    return answers.find((answer) => answer !== undefined);
  }

  async families(): Promise<readonly MetricFamily[]> {
    const workers = [...this.#workers.values()];
    const counted = await Promise.all(workers.map((worker) => worker.families()));
    const own: MetricFamily[] = [
      { name: "redis_access_workers", help: "Processes that serve clients.", type: "gauge", samples: [{ labels: {}, value: workers.filter(({ ready }) => ready).length }] },
      {
        name: "redis_access_worker_connections",
        help: "Clients' connections that each worker has, those in their handshake among them.",
        type: "gauge",
        samples: workers.map(({ number, sockets }) => ({ labels: { worker: String(number) }, value: sockets })),
      },
      { name: "redis_access_workers_replaced_total", help: "Workers that have ended and were replaced.", type: "counter", samples: [{ labels: {}, value: this.#replaced }] },
      ...processFamilies(),
    ];
    return mergeMetrics([this.#former, ...counted, own]);
  }

  #fork(number: number): WorkerProcess {
    const worker = new WorkerProcess(number, this.#program, {
      seat: () => this.#seats.take(),
      seatsLeft: (count) => {
        for (let i = 0; i < count; i++) this.#seats.leave();
      },
      onEnd: (ended, how) => {
        this.#ended(ended, how);
      },
    });
    this.#workers.set(number, worker);
    this.#audit?.attach(worker.auditStream);
    return worker;
  }

  /** Has a worker begin to serve, with the configuration that is in force when it is ready. */
  async #bringUp(worker: WorkerProcess, reached: readonly string[] = []): Promise<void> {
    const loaded = this.#loaded!;
    await worker.calls.call("start", { loaded, program: this.#programSha256, ticketSecret: this.#ticketSecret, reached });
    await this.#catchUp(worker, loaded);
    worker.ready = true;
    this.#gates.handOver();
  }

  /** Has a worker take the configuration in force over, where it has another one; it is ended where it cannot. */
  async #catchUp(worker: WorkerProcess, known: LoadedConfig | undefined): Promise<void> {
    let taken = known;
    try {
      while (taken !== this.#loaded) {
        taken = this.#loaded!;
        await worker.calls.call("prepare", taken);
        await worker.calls.call("apply", undefined);
      }
    } catch {
      worker.kill();
    }
  }

  #ended(worker: WorkerProcess, how: string): void {
    this.#workers.delete(worker.number);
    if (this.#draining) return;
    this.#former = mergeMetrics([this.#former, lastingFamilies(worker.counted)]);
    this.#replaced++;
    const backOff = this.#backOffs.get(worker.number) ?? new BackOff();
    this.#backOffs.set(worker.number, backOff);
    const delay = backOff.next(performance.now() - worker.startedAt);
    this.#log[worker.leaving ? "info" : "error"]("worker has ended, and is replaced", { worker: worker.number, pid: worker.pid, how, clients: worker.sockets, replacedInMs: delay });
    setTimeout(() => {
      if (!this.#draining) this.#replace(worker.number);
    }, delay);
  }

  #replace(number: number): void {
    const worker = this.#fork(number);
    this.#bringUp(worker).then(
      () => {
        this.#log.info("worker replaced", { worker: number, pid: worker.pid });
      },
      (error: unknown) => {
        // Its end, which is on its way, has it tried again.
        this.#log.error("worker cannot serve", { worker: number, pid: worker.pid, error: error instanceof Error ? error.message : String(error) });
        worker.kill();
      },
    );
  }

  /** Keeps what the workers have counted, should they die; ends one that hangs. */
  #look(): void {
    for (const worker of this.#workers.values()) {
      if (!worker.ready) continue;
      if (worker.unanswered++ >= MOST_UNANSWERED) {
        this.#log.error("worker does not answer, and is ended", { worker: worker.number, pid: worker.pid });
        worker.kill();
      }
      void worker.families();
    }
  }
}
