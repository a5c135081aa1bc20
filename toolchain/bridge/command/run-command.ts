import { type ChildProcess, spawn } from "node:child_process";

/** One execution of a command. */
export interface CommandRun {
  /** Handed to the interpreter as its last argument. */
  readonly command: string;
  readonly interpreter: readonly string[];
  readonly dir: string | undefined;
  /** Added to the environment of this process. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string | undefined;
  /** Called with each line of output while the command runs. */
  readonly onLine: (stream: "stdout" | "stderr", line: string) => void;
}

/** What a command wrote, each without the newline at its end. */
export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that could not be started or did not succeed. The message has its output, as the official plugin's has. */
export class CommandFailedError extends Error {
  override readonly name = "CommandFailedError";
  readonly code = "COMMAND_FAILED";
}

/** The interpreter of commands that name none. */
export const DEFAULT_INTERPRETER: readonly string[] = ["/bin/sh", "-c"];

/** Runs commands as child processes and can stop all that run. */
export class CommandRunner {
  readonly #running = new Set<ChildProcess>();

  /** Runs a command to its end. Throws `CommandFailedError` unless its exit code is 0. */
  run(run: CommandRun): Promise<CommandOutput> {
    const [program, ...args] = [...run.interpreter, run.command];
    const child = spawn(program, args, {
      cwd: run.dir,
      env: { ...process.env, ...run.environment },
      stdio: ["pipe", "pipe", "pipe"],
      // A process group of its own: a shell is stopped together with what it has started.
      detached: true,
    });
    this.#running.add(child);
    // A command that does not read its input closes the pipe early, which is its right.
    child.stdin.on("error", () => undefined);
    child.stdin.end(run.stdin ?? "");

    const written: Buffer[] = [];
    const collect = (stream: "stdout" | "stderr"): Buffer[] => {
      const chunks: Buffer[] = [];
      const lines = new LineSplitter((line) => {
        run.onLine(stream, line);
      });
      child[stream].on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        written.push(chunk);
        lines.push(chunk);
      });
      child[stream].on("end", () => {
        lines.end();
      });
      return chunks;
    };
    const stdout = collect("stdout");
    const stderr = collect("stderr");

    return new Promise((resolve, reject) => {
      child.on("error", (error) => {
        this.#running.delete(child);
        reject(new CommandFailedError(`cannot start ${JSON.stringify(program)}: ${error.message}`));
      });
      child.on("close", (code, signal) => {
        this.#running.delete(child);
        if (code === 0) {
          resolve({ stdout: withoutNewline(stdout), stderr: withoutNewline(stderr) });
        } else {
          const how = code === null ? `signal: ${signal ?? "unknown"}` : `exit status ${code}`;
          reject(new CommandFailedError(`${how}: running ${JSON.stringify(run.command)}:\n${Buffer.concat(written).toString()}`));
        }
      });
    });
  }

  /** Asks every running command, and what it has started, to end. */
  stopAll(): void {
    for (const { pid } of this.#running) if (pid !== undefined) signalGroup(pid);
  }
}

function signalGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGTERM");
  } catch {
    // It has ended in the meantime.
  }
}

/** Cuts a stream of bytes into lines of text. */
class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString()).split("\n");
    this.#rest = lines.pop() ?? "";
    lines.forEach(this.#onLine);
  }

  end(): void {
    if (this.#rest !== "") this.#onLine(this.#rest);
  }
}

function withoutNewline(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString().replace(/\n$/, "");
}
