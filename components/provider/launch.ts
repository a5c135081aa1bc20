import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { constants, existsSync } from "node:fs";
import { chmod, open } from "node:fs/promises";
import { ownOwner, writeFileAtomically } from "./atomic-file.ts";
import { findRecorded, hasLostDirectory, isRunning, isSuspended, plainPath, recordingWrapper, removeRecord } from "./process-record.ts";
import type { ProcessRecord } from "./process-record.ts";
import { poll } from "./poll.ts";

/** A program to be started for good. */
export interface LaunchSpec {
  readonly program: string;
  readonly args: readonly string[];
  readonly directory: string;
  /** The whole environment, apart from a plain PATH: what the shell that runs `pulumi up` exports does not matter. */
  readonly environment: Readonly<Record<string, string>>;
  /** Standard output and error are appended here, mode 0600. */
  readonly logFile: string;
  readonly recordFile: string;
  /** What is started, as a SHA-256; written to the record. */
  readonly fingerprint: string;
}

/** A started program, and how to learn that it has ended. */
export interface Launched {
  readonly record: ProcessRecord;
  /** How it ended; undefined while it runs. */
  readonly ended: () => string | undefined | Promise<string | undefined>;
}

/** A program that could not even be started. */
export class LaunchError extends Error {
  readonly code = "LAUNCH_FAILED";

  constructor(program: string, problem: string) {
    super(`${program} could not be started: ${problem}`);
    this.name = "LaunchError";
  }
}

/** A program that was started, and ended before anybody could look. The message says how; its log says why. */
export class EndedError extends Error {
  readonly code = "LAUNCHED_AND_ENDED";

  constructor(end: string) {
    super(end);
    this.name = "EndedError";
  }
}

const recordLimitMs = 5000;
/** It is a program with clients that is asked. */
const successorLimitMs = 10_000;

/**
 * Starts a program in a session of its own, so that it outlives this process, its terminal and its process group.
 * Returns once its record is written; whether it is any good is for a readiness probe to find out.
 * @throws {LaunchError}
 * @throws {EndedError}
 */
export async function launch(spec: LaunchSpec): Promise<Launched> {
  const log = await open(spec.logFile, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
  try {
    await chmod(spec.logFile, 0o600);
    await removeRecord(spec.recordFile);
    const child = spawn("/bin/sh", ["-c", recordingWrapper, "redis-access", ...recordedCommand(spec)], {
      cwd: spec.directory,
      env: environmentFor(spec),
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    const ended = watchEnd(child);
    child.unref();
    const record = await poll(recordLimitMs, async () => (await findRecorded(spec.recordFile)) ?? ended(), 10);
    if (typeof record === "object") return { record, ended };
    // It may have written its record, become the program and ended between two looks: that is no other end than a later one.
    if (record !== undefined && existsSync(spec.recordFile)) throw new EndedError(record);
    throw new LaunchError(spec.program, record ?? `no record in ${spec.recordFile} after ${recordLimitMs} ms`);
  } finally {
    await log.close();
  }
}

/** Arguments of the shell text that records its own process and becomes the program. */
function recordedCommand({ recordFile, fingerprint, program, args }: LaunchSpec): string[] {
  return [recordFile, fingerprint, program, ...args];
}

function environmentFor({ environment }: LaunchSpec): Readonly<Record<string, string>> {
  return { PATH: plainPath, ...environment };
}

/** As `recordingWrapper`, behind the directory and the log: whoever starts it may work elsewhere, or write to a log that was deleted. */
const successorWrapper = ["umask 077", 'cd -- "$1" || exit 126', 'exec >> "$2" 2>&1', "shift 2", recordingWrapper].join("\n");

/**
 * Has a running program start another one in its place. Returns once the record is the successor's; whether that is any good is
 * still to be found out, and the running one goes on until it is.
 *
 * @param successorFile where the running program looks for its successor's command
 * @throws {LaunchError} the running program does not start it
 */
export async function launchSuccessor(running: ProcessRecord, spec: LaunchSpec, successorFile: string): Promise<Launched> {
  const command = ["/bin/sh", "-c", successorWrapper, "redis-access", spec.directory, spec.logFile, ...recordedCommand(spec)];
  await writeFileAtomically(successorFile, JSON.stringify({ command, environment: environmentFor(spec) }), "0600", ownOwner());
  signal(running.pid, "SIGUSR2");
  const record = await poll(successorLimitMs, async () => {
    const recorded = await findRecorded(spec.recordFile);
    return recorded?.pid === running.pid ? undefined : recorded;
  });
  if (record === undefined) throw new LaunchError(spec.program, `process ${running.pid} has not started it within ${successorLimitMs} ms`);
  return { record, ended: async () => ((await isRunning(record)) ? undefined : "it ended") };
}

function watchEnd(child: ChildProcess): () => string | undefined {
  let end: string | undefined;
  child.once("error", (error) => (end = error.message));
  child.once("exit", (code, signal) => (end ??= signal === null ? `it ended with exit code ${code ?? "?"}` : `it was ended by ${signal}`));
  return () => end;
}

/** A process that neither SIGTERM nor SIGKILL ends, because the kernel holds it. */
export class StopError extends Error {
  readonly code = "STOP_FAILED";

  constructor(pid: number) {
    super(`process ${pid} does not end, not even after SIGKILL; look at /proc/${pid}/stack, and at its disk`);
    this.name = "StopError";
  }
}

const killLimitMs = 10_000;
const lostGraceMs = 1000;

/**
 * Ends a process: SIGTERM, and SIGKILL if it has not gone after `graceMs`, or at once if it is suspended. Does nothing if it is gone.
 * A program whose directory is gone has nowhere to save anything and gets a second at most; Redis would not end for trying.
 * @throws {StopError}
 */
export async function stop(record: ProcessRecord, graceMs: number): Promise<void> {
  const gone = async (): Promise<true | undefined> => ((await isRunning(record)) ? undefined : true);
  if ((await gone()) === true) return;
  const limitMs = (await hasLostDirectory(record)) ? Math.min(graceMs, lostGraceMs) : graceMs;
  // One that is suspended does not hear SIGTERM, and must not do anything else before.
  const deaf = await isSuspended(record);
  if (!deaf) signal(record.pid, "SIGTERM");
  if (!deaf && (await poll(limitMs, gone, 20)) === true) return;
  signal(record.pid, "SIGKILL");
  if ((await poll(killLimitMs, gone, 20)) !== true) throw new StopError(record.pid);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return;
    throw error;
  }
}
