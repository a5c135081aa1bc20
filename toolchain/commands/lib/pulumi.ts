import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

/** The checkout that these commands belong to. */
export const PROJECT_DIRECTORY = path.resolve(import.meta.dirname, "../../..");

const LAUNCHER = path.join(PROJECT_DIRECTORY, "toolchain/launcher/pulumi");
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Pulumi ended with an error. Its own message is in `stderr`; where it was shown already, `shown` is set. */
export class PulumiFailedError extends Error {
  override readonly name = "PulumiFailedError";
  readonly code = "PULUMI_FAILED";
  readonly exitCode: number;
  readonly stderr: string;

  constructor(args: readonly string[], exitCode: number, stderr: string) {
    super(`pulumi ${args[0] ?? ""} ended with exit code ${exitCode}`);
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** Runs Pulumi and returns what it writes to standard output. Nothing is shown. */
export async function pulumiOutput(args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(LAUNCHER, [...args, "--non-interactive", "--color", "never"], { cwd: PROJECT_DIRECTORY, maxBuffer: MAX_OUTPUT_BYTES });
    return stdout;
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    throw new PulumiFailedError(args, typeof code === "number" ? code : 1, stderr ?? String(error));
  }
}

/** How many resources an operation created, updated, replaced, deleted or left the same (`same`), by Pulumi's names. */
export type ResourceChanges = Readonly<Record<string, number>>;

/** Runs an operation that changes a stack, showing Pulumi's own progress: in colour and in place on a terminal, line by line elsewhere. */
export async function pulumiOperation(args: readonly string[]): Promise<ResourceChanges> {
  const directory = mkdtempSync(path.join(tmpdir(), "redis-access-"));
  const eventLog = path.join(directory, "events.jsonl");
  try {
    const display = process.stdout.isTTY ? [] : ["--non-interactive", "--color", "never"];
    const all = [...args, "--yes", "--skip-preview", "--suppress-outputs", "--suppress-permalink=true", ...display, "--event-log", eventLog];
    // The flag --event-log is one that Pulumi shows to programs only, such as its own Automation API.
    const child = spawn(LAUNCHER, all, { cwd: PROJECT_DIRECTORY, env: { ...process.env, PULUMI_DEBUG_COMMANDS: "true" }, stdio: "inherit" });
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.on("error", reject).on("close", (code) => {
        resolve(code ?? 1);
      });
      // A terminal sends Ctrl-C to both: Pulumi ends in order, and this process after it.
      process.on("SIGINT", () => undefined);
      process.on("SIGTERM", () => child.kill("SIGINT"));
    });
    if (exitCode !== 0) throw new PulumiFailedError(args, exitCode, "");
    return changesIn(readFileSync(eventLog, "utf8"));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface EngineEvent {
  readonly summaryEvent?: { readonly resourceChanges?: Record<string, number> };
  readonly resOutputsEvent?: { readonly metadata?: { readonly op?: string; readonly detailedDiff?: unknown } };
}

/** What an operation changed, from the events that it logged as one JSON text per line. */
export function changesIn(eventLog: string): ResourceChanges {
  const events = eventLog.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as EngineEvent);
  return events.findLast((event) => event.summaryEvent !== undefined)?.summaryEvent?.resourceChanges ?? {};
}

/** Whether anything but looking was done. Reading and refreshing are looking. */
export function changedAnything(changes: ResourceChanges): boolean {
  return Object.entries(changes).some(([operation, count]) => count > 0 && !["same", "read", "refresh"].includes(operation));
}
