import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { type EngineEvent, EventLog } from "./engine-events.ts";
import { errorsIn, plainText, Progress } from "./progress.ts";
import { say } from "./style.ts";

/** The checkout that these commands belong to. */
export const PROJECT_DIRECTORY = path.resolve(import.meta.dirname, "../../..");

const LAUNCHER = path.join(PROJECT_DIRECTORY, "toolchain/launcher/pulumi");
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
/** Characters of Pulumi's own output that are kept for an error message. */
const KEPT_OUTPUT = 16_384;
const TELL_INTERVAL_MS = 300;

/** Pulumi ended with an error. Its own message is in `stderr`, unless it was shown already. */
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

/** The name of the stack that an operation was asked for and that does not exist; undefined where that is not what went wrong. */
export function absentStack(error: unknown): string | undefined {
  return error instanceof PulumiFailedError ? /no stack named '([^']*)' found/.exec(error.stderr)?.[1] : undefined;
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

/** Runs an operation that changes a stack, telling its progress line by line as it goes on. */
export async function pulumiOperation(args: readonly string[]): Promise<ResourceChanges> {
  const directory = mkdtempSync(path.join(tmpdir(), "redis-access-"));
  const log = new EventLog(path.join(directory, "events.jsonl"));
  const told: EngineEvent[] = [];
  const progress = new Progress();
  const tell = (): void => {
    const events = log.read();
    for (const line of progress.add(events)) say(line);
    told.push(...events.filter((event) => event.summaryEvent !== undefined || errorsIn([event]).length > 0));
  };
  try {
    const { exitCode, output } = await runOperation([...args, "--yes", "--skip-preview", "--event-log", path.join(directory, "events.jsonl")], tell);
    for (const line of progress.finish()) say(line);
    if (exitCode !== 0) throw new PulumiFailedError(args, exitCode, errorsIn(told).length > 0 ? "" : output);
    return changesIn(told);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What a preview has told. */
export interface Preview {
  readonly events: readonly EngineEvent[];
  /** Why it did not come to its end; empty where it did. */
  readonly problem: string;
}

/**
 * Runs a preview, which changes nothing.
 * @throws {PulumiFailedError} it could not even begin, as where there is no such stack
 */
export async function pulumiPreview(args: readonly string[]): Promise<Preview> {
  const directory = mkdtempSync(path.join(tmpdir(), "redis-access-"));
  const file = path.join(directory, "events.jsonl");
  try {
    const { exitCode, output } = await runOperation(["preview", ...args, "--event-log", file], () => undefined);
    const events = new EventLog(file).read();
    if (exitCode !== 0 && !events.some(({ resOutputsEvent }) => resOutputsEvent !== undefined)) throw new PulumiFailedError(["preview"], exitCode, output);
    return { events, problem: errorsIn(events).map(({ message }) => plainText(message)).join("\n") };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs Pulumi without a display of its own, calling `tell` from time to time and in the end. */
async function runOperation(args: readonly string[], tell: () => void): Promise<{ exitCode: number; output: string }> {
  const all = [...args, "--suppress-outputs", "--suppress-permalink=true", "--non-interactive", "--color", "never"];
  // The flag --event-log is one that Pulumi shows to programs only, such as its own Automation API.
  const child = spawn(LAUNCHER, all, { cwd: PROJECT_DIRECTORY, env: { ...process.env, PULUMI_DEBUG_COMMANDS: "true" }, stdio: ["ignore", "pipe", "pipe"] });
  // Needed only where it ends before there are events, as when another update holds the stack's lock.
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-KEPT_OUTPUT);
    });
  }
  const timer = setInterval(tell, TELL_INTERVAL_MS);
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.on("error", reject).on("close", (code) => {
        resolve(code ?? 1);
      });
      // A terminal sends Ctrl-C to both: Pulumi ends in order, and this process after it.
      process.on("SIGINT", () => undefined);
      process.on("SIGTERM", () => child.kill("SIGINT"));
    });
    tell();
    return { exitCode, output };
  } finally {
    clearInterval(timer);
  }
}

/** What an operation changed, from its last summary. */
export function changesIn(events: readonly EngineEvent[]): ResourceChanges {
  return events.findLast((event) => event.summaryEvent !== undefined)?.summaryEvent?.resourceChanges ?? {};
}
