import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { within } from "./wait-for.ts";

/** A program that a test runs beside itself. */
export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly directory: string;
  /** Takes standard output and error. */
  readonly logFile: string;
  readonly environment?: Readonly<Record<string, string>>;
}

const running = new Set<ChildProcess>();
const killLimitMs = 5000;
const quotedBytes = 2000;

// A test that fails, or that the runner ends, must leave nothing running.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(1));
}

/** A child process of this test, which ends with it at the latest. */
export class Child {
  readonly #process: ChildProcess;
  readonly #logFile: string;
  readonly #ended: Promise<number | string>;
  #end: number | string | undefined;

  constructor({ command, args, directory, logFile, environment }: ChildOptions) {
    this.#logFile = logFile;
    const log = openSync(logFile, "a", 0o600);
    // setpriv (util-linux) has the kernel end the program even where this process is killed and runs no handler.
    this.#process = spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], {
      cwd: directory,
      env: { ...process.env, ...environment },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    running.add(this.#process);
    this.#ended = new Promise((resolve) => {
      const end = (how: number | string): void => {
        running.delete(this.#process);
        this.#end ??= how;
        resolve(how);
      };
      this.#process.once("exit", (code, signal) => {
        end(code ?? signal ?? "unknown");
      });
      this.#process.once("error", (error) => {
        end(error.message);
      });
    });
  }

  /** Process id; throws where the program could not be started at all. */
  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`could not be started: ${String(this.#end)}`);
    return this.#process.pid;
  }

  /** How it ended, exit code or signal; undefined while it runs. */
  get end(): number | string | undefined {
    return this.#end;
  }

  /** The last of what it wrote, for an error message. */
  get log(): string {
    return readFileSync(this.#logFile, "utf8").slice(-quotedBytes);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Ends it, at once or by the given signal, and waits for that. Does nothing if it has ended. */
  async stop(signal: NodeJS.Signals = "SIGKILL", limitMs = killLimitMs): Promise<void> {
    if (this.#end !== undefined) return;
    this.#process.kill(signal);
    // A stopped process takes no other signal than SIGKILL until it is continued.
    if (signal !== "SIGKILL") this.#process.kill("SIGCONT");
    await within(`the end of process ${this.pid} after ${signal}`, limitMs, this.#ended);
  }
}
