import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";

import { type ProgramRun, runArguments, runEnvironment } from "./run-arguments.ts";
import { runScript } from "./required-plugins.ts";

/** How a program ended. `bail` means that it has already told the user what went wrong. */
export interface ProgramResult {
  readonly error: string;
  readonly bail: boolean;
}

/**
 * The exit code by which `@pulumi/pulumi/cmd/run` says that the error has been shown to the user
 * (`nodeJSProcessExitedAfterLoggingUserActionableMessage` in cmd/run/index.js).
 */
const ALREADY_REPORTED = 32;

/** Starts Pulumi programs as child processes and can stop all that run. */
export class ProgramRunner {
  readonly #running = new Set<ChildProcess>();

  /**
   * Runs a program to its end. Its output goes to this process's own stdout and stderr, which the engine shows.
   *
   * @param runtimeOptions `runtime.options` of Pulumi.yaml: `typescript` and `nodeargs` are heeded
   */
  async run(program: ProgramRun, programDirectory: string, runtimeOptions: Readonly<Record<string, unknown>>): Promise<ProgramResult> {
    const nodeArguments = typeof runtimeOptions.nodeargs === "string" ? runtimeOptions.nodeargs.split(/\s+/).filter((word) => word !== "") : [];
    const typescript = runtimeOptions.typescript !== false;
    let script: string;
    try {
      script = runScript(programDirectory);
    } catch {
      return { error: `@pulumi/pulumi is not installed for the program in ${programDirectory}: run npm ci there`, bail: false };
    }
    const child = spawn(process.execPath, [...nodeArguments, script, ...runArguments(program)], {
      cwd: programDirectory,
      env: { ...process.env, ...runEnvironment(program, typescript) },
      // stdin stays closed: a program that reads it must not take the engine's pipe to this plugin.
      stdio: ["ignore", "inherit", "inherit"],
    });
    this.#running.add(child);
    try {
      return await ended(child);
    } finally {
      this.#running.delete(child);
    }
  }

  /** Asks every running program to end. */
  stopAll(signal: NodeJS.Signals): void {
    for (const child of this.#running) child.kill(signal);
  }
}

function ended(child: ChildProcess): Promise<ProgramResult> {
  return new Promise((resolve) => {
    child.on("error", (error) => {
      resolve({ error: `cannot start the program: ${error.message}`, bail: false });
    });
    child.on("close", (code, signal) => {
      if (code === 0) resolve({ error: "", bail: false });
      else if (code === ALREADY_REPORTED) resolve({ error: "", bail: true });
      else resolve({ error: code === null ? `the program was ended by ${signal ?? "a signal"}` : `the program ended with exit code ${code}`, bail: false });
    });
  });
}

/** The version of `@pulumi/pulumi` that a program in this directory would load; empty when there is none. */
export function sdkVersion(directory: string): string {
  try {
    const { version } = createRequire(`${directory}/program.js`)("@pulumi/pulumi/package.json") as { version: string };
    return version;
  } catch {
    return "";
  }
}
