import { readFile, readlink, rm } from "node:fs/promises";
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
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
  if (boot.trim() !== record.bootId) return false;
  const stat = await readFile(`/proc/${record.pid}/stat`, "utf8").catch(ignoreGone);
  if (stat === undefined) return false;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[19] === record.startTime && fields[0] !== "Z" && fields[0] !== "X";
}

/** The program file that the process runs; undefined if it is gone or another user's. A replaced file ends in ` (deleted)`. */
export async function executableOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/exe`).catch(() => undefined);
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
