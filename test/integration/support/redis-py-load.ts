import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ClientTarget } from "../../conformance/clients/client-report.ts";
import { pythonWithRedisPy } from "../../support/redis-py.ts";
import { waitFor, within } from "../../support/wait-for.ts";

/** What clients by redis-py have seen, and what the database held in the end. */
export interface RedisPyReport {
  /** Commands that were answered without an error. */
  readonly commands: number;
  readonly errorCount: number;
  /** The first of them. */
  readonly errors: readonly string[];
  /** Answers that do not fit, and acknowledged writes that are not there or there twice; the first of them. */
  readonly faults: readonly string[];
  /** Milliseconds that a command, or a whole pipeline, took to be answered; the longest is also the longest pause. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestPauseMs: number;
}

/** Where the load goes, and how. */
export interface RedisPyTarget extends Omit<ClientTarget, "serverName"> {
  /** Whether redis-py is used as it comes, for what closes connections: what it had no answer to, it sends again. */
  readonly resends: boolean;
}

const program = join(import.meta.dirname, "redis-py-load.py");
const endLimitMs = 60_000;

/** Two clients by redis-py that read and write through the proxy until they are stopped: one command at a time, and in pipelines. */
export class RedisPyLoad {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  #answered = 0;
  #lastLine = "";
  #said = "";
  #end: string | undefined;

  private constructor(python: string, target: RedisPyTarget) {
    this.#child = spawn(python, [program]);
    this.#child.stdin.on("error", () => undefined);
    // It ends by itself where this process does: that closes its standard input.
    this.#child.stdin.write(`${JSON.stringify(target)}\n`);
    this.#child.stderr.on("data", (text: Buffer) => (this.#said += text.toString()));
    createInterface(this.#child.stdout).on("line", (line) => {
      this.#lastLine = line;
      if (/^\d+$/.test(line)) this.#answered = Number(line);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => (this.#end = error.message));
      this.#child.once("close", (code, signal) => {
        this.#end ??= String(code ?? signal);
        resolve();
      });
    });
  }

  /** @throws Error redis-py cannot be had */
  static async start(target: RedisPyTarget): Promise<RedisPyLoad> {
    return new RedisPyLoad(await pythonWithRedisPy(), target);
  }

  /** Waits until so many further commands have been answered. */
  async progress(commands: number, limitMs = 30_000): Promise<void> {
    const goal = this.#answered + commands;
    await waitFor(`redis-py has ${commands} further commands answered`, limitMs, () => this.#answered >= goal || this.#end !== undefined);
    if (this.#end !== undefined) throw new Error(`the load by redis-py has ended (${this.#end}): ${this.#said}`);
  }

  /** Ends the load, has it check what it wrote, and gives its report. */
  async stop(): Promise<RedisPyReport> {
    this.#child.stdin.end();
    try {
      await within("the report of redis-py", endLimitMs, this.#ended);
    } finally {
      this.#child.kill("SIGKILL");
    }
    if (this.#end !== "0") throw new Error(`the load by redis-py has failed (${this.#end ?? ""}): ${this.#said}`);
    return JSON.parse(this.#lastLine) as RedisPyReport;
  }
}

/** A report in one line. */
export function summaryOf({ commands, errorCount, p50Ms, p99Ms, longestPauseMs }: RedisPyReport): string {
  return `${commands} commands, ${errorCount} errors, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, longest pause ${longestPauseMs.toFixed(0)} ms`;
}
