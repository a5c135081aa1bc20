import { readdir, readFile, readlink, rename, rm, writeFile } from "node:fs/promises";
import { ignoreAbsent } from "./atomic-file.ts";

/** A process as its record names it. The three together are never another process's: pids are used again, moments and boots are not. */
export interface ProcessRecord {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks from boot to start. It stays the same over exec. */
  readonly startTime: string;
  readonly bootId: string;
  /** What was started, as a SHA-256. */
  readonly fingerprint: string;
}

/** How the names of record files end, so that whoever deletes a directory finds what was started there. */
export const recordSuffix = ".process";

/** Of every program that is started for good: what the shell that runs `pulumi up` exports does not matter. */
export const plainPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Shell text that writes the record of its own process and then becomes the program. The record therefore exists before
 * the program does, whenever the starter is killed. Arguments: record file, fingerprint, program, its arguments.
 */
export const recordingWrapper = [
  "umask 077",
  "record=$1 fingerprint=$2",
  "shift 2",
  "read -r stat < /proc/$$/stat || exit 126",
  // The second field, the program's name in parentheses, may hold spaces: cut behind it.
  'start=$(set -- ${stat##*) }; echo "${20}")',
  "read -r boot < /proc/sys/kernel/random/boot_id || exit 126",
  'printf "%s %s %s %s\\n" "$$" "$start" "$boot" "$fingerprint" > "$record.new" || exit 126',
  'mv -f -- "$record.new" "$record" || exit 126',
  'exec "$@"',
].join("\n");

/** The recorded process if it still runs; undefined if there is no record, it is damaged, or its process is gone. */
export async function findRecorded(recordFile: string): Promise<ProcessRecord | undefined> {
  const text = await readFile(recordFile, "utf8").catch(ignoreAbsent);
  const match = /^(\d{1,9}) (\d+) ([0-9a-f-]{36}) ([0-9a-f]{64})\n$/.exec(text ?? "");
  if (match === null) return undefined;
  const record = { pid: Number(match[1]), startTime: match[2]!, bootId: match[3]!, fingerprint: match[4]! };
  return (await isRunning(record)) ? record : undefined;
}

/** Whether exactly this process still runs. A zombie, ended but not yet collected by its parent, does not. */
export async function isRunning(record: ProcessRecord): Promise<boolean> {
  if ((await currentBoot()) !== record.bootId) return false;
  const stat = await statOf(record.pid);
  return stat?.[19] === record.startTime && stat[0] !== "Z" && stat[0] !== "X";
}

async function currentBoot(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

/** The fields of /proc/<pid>/stat from the third on, behind the program's name, which may hold spaces. */
async function statOf(pid: number): Promise<readonly string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(ignoreGone);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The program file that the process runs; undefined if it is gone or another user's. A replaced file ends in ` (deleted)`. */
export async function executableOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/exe`).catch(() => undefined);
}

/** The directory that the process works in; ends in ` (deleted)` where that is gone. Undefined as in {@link executableOf}. */
export async function directoryOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/cwd`).catch(() => undefined);
}

/** Process ids of all processes. */
export async function listProcesses(): Promise<readonly number[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** What the process was started with, its program first; empty as in {@link executableOf}. */
export async function commandLineOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0").slice(0, -1);
}

/** The environment that the process was started with; undefined as in {@link executableOf}. */
export async function environmentOf(pid: number): Promise<ReadonlyMap<string, string> | undefined> {
  const text = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => undefined);
  return text === undefined ? undefined : new Map(text.split("\0").filter((line) => line.includes("=")).map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** How the kernel tells that a process works in a directory that was deleted: behind its path (proc(5), /proc/<pid>/cwd). */
export const goneMark = " (deleted)";

/** Whether the directory that the process works in was deleted under it. */
export async function hasLostDirectory({ pid }: Pick<ProcessRecord, "pid">): Promise<boolean> {
  return (await directoryOf(pid))?.endsWith(goneMark) === true;
}

/** Whether a signal has suspended the process (SIGSTOP), or a debugger holds it. */
export async function isSuspended({ pid }: Pick<ProcessRecord, "pid">): Promise<boolean> {
  return /^[Tt]$/.test((await statOf(pid))?.[0] ?? "");
}

/** Who has started a process, who that one, and so on, as far as they are still there. */
export async function ancestorsOf(pid: number): Promise<readonly number[]> {
  const parent = Number((await statOf(pid))?.[1] ?? 0);
  return parent === 0 ? [] : [parent, ...(await ancestorsOf(parent))];
}

/** What a record of a running process would say, but for what was started; undefined if it has just ended. */
export async function recordOf(pid: number): Promise<ProcessRecord | undefined> {
  const startTime = (await statOf(pid))?.[19];
  return startTime === undefined ? undefined : { pid, startTime, bootId: await currentBoot(), fingerprint: "" };
}

/** When a process was started; undefined where the system does not tell. */
export async function startOf({ startTime }: ProcessRecord): Promise<Date | undefined> {
  // proc(5): /proc/stat has the boot's time in seconds; ticks of user space are hundredths (USER_HZ), whatever the kernel's are.
  const boot = /^btime (\d+)$/m.exec(await readFile("/proc/stat", "utf8").catch(() => ""))?.[1];
  return boot === undefined ? undefined : new Date(Number(boot) * 1000 + Number(startTime) * 10);
}

/** Records a process again whose record was overwritten. */
export async function restoreRecord(recordFile: string, { pid, startTime, bootId, fingerprint }: ProcessRecord): Promise<void> {
  await writeFile(`${recordFile}.new`, `${pid} ${startTime} ${bootId} ${fingerprint}\n`, { mode: 0o600 });
  await rename(`${recordFile}.new`, recordFile);
}

/** Forgets a process. */
export async function removeRecord(recordFile: string): Promise<void> {
  await rm(recordFile, { force: true });
  await rm(`${recordFile}.new`, { force: true });
}

/** A process may end between two looks: reading its /proc entry then fails with ESRCH. */
function ignoreGone(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ESRCH") return undefined;
  ignoreAbsent(error);
  return undefined;
}
