import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { findPortObstacle } from "./ports.ts";
import type { ProcessInputs } from "./process-inputs.ts";
import { commandLineOf, directoryOf, environmentOf, executableOf, findRecorded, goneMark, hasLostDirectory, isSuspended, plainPath, recordOf } from "./process-record.ts";
import type { ProcessRecord } from "./process-record.ts";

/** Last argument of a process that was started by the one whose place it takes (proxy/server/hand-over.ts). */
const takeOver = "--take-over";

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

/** Of a program that a signal has suspended. */
export const suspendedState = "suspended by a signal (SIGSTOP)";

/** `running` where the declared program does; or what else was found, in an operator's words. */
export async function describeState(inputs: ProcessInputs, record: ProcessRecord | undefined): Promise<string> {
  if (record === undefined) return "stopped";
  if (await isSuspended(record)) return suspendedState;
  if (await hasLostDirectory(record)) return "running in a deleted directory";
  if (record.fingerprint === "") return "running, but not as this toolkit starts it";
  const [actual, declared] = await Promise.all([executableOf(record.pid), realpath(inputs.program).catch(() => inputs.program)]);
  // An upgraded package replaces the program's file: what runs is then the deleted old one.
  if (actual !== undefined && actual !== declared) return `running ${actual}`;
  const [workplace, directory] = await Promise.all([directoryOf(record.pid), realpath(inputs.directory).catch(() => inputs.directory)]);
  if (workplace !== undefined && workplace !== directory) return `running in ${workplace}`;
  // Of others, nothing is known of what they do with both: Redis writes its title over them.
  return inputs.proxyDeclaration === undefined ? "running" : describeStart(inputs, record);
}

/** What the shell that becomes the program sets, and the process that starts its successor. */
const startersVariables = /^(PWD|OLDPWD|SHLVL|_|NODE_CHANNEL_.*|REDIS_ACCESS_REACHED)$/;

/** Whether it was started as declared; a record says so, and may be older than the process that somebody has started by what it says. */
async function describeStart(inputs: ProcessInputs, { pid }: ProcessRecord): Promise<string> {
  const [words, environment] = await Promise.all([commandLineOf(pid), environmentOf(pid)]);
  const declared = new Map(Object.entries({ PATH: plainPath, ...inputs.environment }));
  const others = environment === undefined ? [] : [...new Set([...declared.keys(), ...environment.keys()])].filter((name) => !startersVariables.test(name) && environment.get(name) !== declared.get(name));
  // Names only: values may be secrets.
  if (others.length > 0) return `running with another environment: ${others.sort().join(", ")}`;
  const wanted = [inputs.program, ...inputs.args];
  const given = words.at(-1) === takeOver ? words.slice(0, -1) : words;
  return words.length === 0 || given.join("\0") === wanted.join("\0") ? "running" : "running with other arguments";
}
