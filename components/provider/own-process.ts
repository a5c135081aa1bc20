import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { findPortObstacle } from "./ports.ts";
import type { ProcessInputs } from "./process-inputs.ts";
import { commandLineOf, directoryOf, executableOf, findRecorded, goneMark, hasLostDirectory, isSuspended, recordOf } from "./process-record.ts";
import type { ProcessRecord } from "./process-record.ts";

/** What tells one declaration of a program from another, as far as only a restart leads from one to the other: SHA-256 in hex. */
export function fingerprintOf({ program, args, directory, environment, logFile, restartOn }: ProcessInputs): string {
  const sorted = (values: Readonly<Record<string, string>>): [string, string][] => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  const what = [program, args, directory, sorted(environment), logFile, sorted(restartOn)];
  return createHash("sha256").update(JSON.stringify(what)).digest("hex");
}

/**
 * The process of a declaration, if it runs: the recorded one, or one that has no record, because it was started by hand or
 * its directory was deleted under it. Such a one is ours where the declared program listens at the declared address and
 * works in the declared directory; anything else there is another program's business, and an obstacle.
 */
export async function findOwn({ recordFile, program, directory, listens }: Partial<ProcessInputs>): Promise<ProcessRecord | undefined> {
  const recorded = recordFile === undefined ? undefined : await findRecorded(recordFile);
  if (recorded !== undefined || program === undefined || directory === undefined) return recorded;
  for (const { host, port: number } of listens ?? []) {
    const pid = (await findPortObstacle(host, number))?.pid;
    if (pid === undefined || ![directory, `${directory}${goneMark}`].includes((await directoryOf(pid)) ?? "")) continue;
    if ((await executableOf(pid)) === (await realpath(program).catch(() => program))) return recordOf(pid);
  }
  return undefined;
}

/** Whether a process hands over to its successor: one that was started with the file's path, knows its directory, and is not suspended. */
export async function takesSuccessor({ successorFile }: Partial<ProcessInputs>, running: ProcessRecord): Promise<boolean> {
  if (successorFile === undefined || !(await commandLineOf(running.pid)).includes(successorFile)) return false;
  return !(await hasLostDirectory(running)) && !(await isSuspended(running));
}

/** `running` where the declared program does; or what else was found, in an operator's words. */
export async function describeState(inputs: ProcessInputs, record: ProcessRecord | undefined): Promise<string> {
  if (record === undefined) return "stopped";
  if (await isSuspended(record)) return "suspended by a signal (SIGSTOP)";
  if (await hasLostDirectory(record)) return "running in a deleted directory";
  if (record.fingerprint === "") return "running, but not as this toolkit starts it";
  const [actual, declared] = await Promise.all([executableOf(record.pid), realpath(inputs.program).catch(() => inputs.program)]);
  // An upgraded package replaces the program's file: what runs is then the deleted old one.
  return actual === undefined || actual === declared ? "running" : `running ${actual}`;
}
