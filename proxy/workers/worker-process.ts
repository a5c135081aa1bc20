import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { HostPort } from "../config.ts";
import type { MetricFamily } from "../server/metrics.ts";
import type { ServingStatus, SessionSummary } from "../server/serving.ts";
import type { SessionDetail } from "../server/session-state.ts";
import type { Candidate } from "./choose-worker.ts";
import { RemoteCalls } from "./remote-calls.ts";
import type { PrimaryCalls, WorkerCalls } from "./worker-calls.ts";

/** Which descriptor of a worker leads to the audit's writer; 3 is the channel to the primary. */
export const AUDIT_DESCRIPTOR = 4;
/** How long a worker may take to say how it is. */
const ANSWER_MS = 2_000;

/** What a worker's process tells the primary of. */
export interface WorkerEvents {
  readonly seat: () => number | undefined;
  readonly seatsLeft: (count: number) => void;
  /** It has ended; nothing is heard of it any more. */
  readonly onEnd: (worker: WorkerProcess, how: string) => void;
}

/** One worker, as the primary sees it. */
export class WorkerProcess implements Candidate {
  readonly number: number;
  readonly calls: RemoteCalls<WorkerCalls, PrimaryCalls>;
  readonly startedAt = performance.now();
  /** Serves with the configuration in force, and takes clients. */
  ready = false;
  /** It is about to end of its own. */
  leaving = false;
  /** All that it had to do is done. */
  drained = false;
  sockets = 0;
  silentSince: number | undefined;
  /** Looks at it in a row that it did not answer. */
  unanswered = 0;
  /** What it has counted, as it said last. */
  counted: readonly MetricFamily[] = [];

  /** Resolves when its process is gone, and all that it had sent to the audit is read. */
  readonly ended: Promise<unknown>;

  readonly #child: ChildProcess;
  #seats = 0;
  /** Sockets on their way to it, the first that was sent first: this process has them, too, until they have arrived. */
  readonly #underWay: Socket[] = [];

  /** Forks it. It serves after its `start` was called. */
  constructor(number: number, program: string, events: WorkerEvents) {
    this.number = number;
    this.#child = fork(program, ["--worker", String(number)], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"] });
    const child = this.#child;
    const send = (message: unknown, socket?: Socket): void => {
      // What could not be sent is for a worker that has ended: `onEnd` is on its way. Left to itself, Node forgets what is under way then.
      child.send(message as object, socket, { keepOpen: true }, () => undefined);
    };
    this.calls = new RemoteCalls<WorkerCalls, PrimaryCalls>(send, {
      seat: () => {
        const seat = events.seat();
        if (seat !== undefined) this.#seats++;
        return seat;
      },
      seatsLeft: (count) => {
        this.#seats -= count;
        events.seatsLeft(count);
      },
      sockets: ({ arrived, closed }) => {
        this.sockets -= closed;
        this.#closeFirst(arrived);
        if (this.#underWay.length > 0) this.silentSince = performance.now();
      },
      leaving: () => {
        this.leaving = true;
      },
    });
    child.on("message", (message) => {
      this.calls.receive(message);
      if (this.#underWay.length === 0) this.silentSince = undefined;
    });
    const audit = this.auditStream;
    const exited = new Promise<void>((resolve) => child.once("exit", () => { resolve(); }).once("error", () => { resolve(); }));
    const read = new Promise<void>((resolve) => audit.once("close", resolve));
    this.ended = Promise.all([exited, read]);
    let ended = false;
    const end = (how: string): void => {
      if (ended) return;
      ended = true;
      this.ready = false;
      this.calls.close(new Error(`worker ${number} has ended: ${how}`));
      this.#closeFirst(this.#underWay.length);
      events.seatsLeft(this.#seats);
      events.onEnd(this, how);
    };
    child.on("exit", (code, signal) => {
      end(signal ?? `exit code ${code ?? "?"}`);
    });
    child.on("error", (error) => {
      if (child.pid === undefined) end(error.message);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Where its events for the audit come from. */
  get auditStream(): Duplex {
    return this.#child.stdio[AUDIT_DESCRIPTOR] as Duplex;
  }

  /** Hands a client over to it; whatever becomes of the worker then becomes of the client. */
  hand(socket: Socket, address: HostPort): void {
    this.sockets++;
    if (this.#underWay.push(socket) === 1) this.silentSince = performance.now();
    this.calls.tell("client", address, socket);
  }

  /** How it stands; undefined where it does not say so in time. */
  async status(): Promise<ServingStatus | undefined> {
    return this.ready ? this.#within(this.calls.call("status", undefined)) : undefined;
  }

  /** Its sessions; none where it does not tell in time. */
  async sessions(): Promise<readonly SessionSummary[]> {
    return (this.ready ? await this.#within(this.calls.call("sessions", undefined)) : undefined) ?? [];
  }

  /** One of its sessions; undefined where it has none of that number, or does not tell in time. */
  async session(id: number): Promise<(SessionSummary & SessionDetail) | undefined> {
    return this.ready ? this.#answerTo(this.calls.call("session", id)) : undefined;
  }

  /** What it has counted; as it said last, where it does not say so in time. */
  async families(): Promise<readonly MetricFamily[]> {
    const families = this.ready ? await this.#within(this.calls.call("families", undefined)) : undefined;
    if (families !== undefined) this.counted = families;
    return this.counted;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Has its clients finish, and lets it go. Rejects where it has ended before. */
  async drain(): Promise<void> {
    await this.calls.call("drain", undefined);
    this.drained = true;
    if (this.#child.connected) this.#child.disconnect();
  }

  /** Closes this process's end of the sockets that were sent first; the worker's stays open. */
  #closeFirst(count: number): void {
    for (const socket of this.#underWay.splice(0, count)) socket.destroy();
  }

  /** As `#within`, where undefined is an answer like any other. */
  async #answerTo<T>(answer: Promise<T>): Promise<T | undefined> {
    return (await this.#within(answer.then((value) => ({ value }))))?.value;
  }

  async #within<T>(answer: Promise<T>): Promise<T | undefined> {
    const asked = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, ANSWER_MS, undefined);
    });
    const settled = answer.catch(() => undefined);
    const first = await Promise.race([settled, late]);
    clearTimeout(timer);
    if (first === undefined) this.silentSince ??= asked;
    else this.unanswered = 0;
    return first;
  }
}
