import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { Finding } from "../drift.ts";
import { isWithin, programName } from "./inhabitants.ts";
import { portsOf } from "./ports.ts";
import { ancestorsOf, commandLineOf, directoryOf, executableOf, listProcesses, recordOf, startOf } from "./process-record.ts";
import { SharedLooks } from "./shared-looks.ts";

/** What a process tells of where it belongs. */
interface Resident {
  readonly pid: number;
  readonly workplace: string;
  /** What its arguments name, as absolute paths, whether or not they are files. */
  readonly paths: readonly string[];
}

const looks = new SharedLooks<readonly Resident[]>();

/**
 * Programs that nobody has declared and that serve somebody from a directory of the stack: a second proxy, a redis-server that was
 * started there by hand. What does not listen is left out, such as the shell of whoever reads the logs.
 *
 * They are told and left alone: this toolkit has not started them, and cannot know who needs them and what they hold.
 * @param directory absolute path
 * @param declared the program that is declared there, and the pid of its process if it runs. Then whoever works in the directory or
 *   below it is told, and any other process of that program which was started with something of the directory; what the declared
 *   process has started, or what has started it and is about to end, is not. Without it, whoever works right in the directory
 */
export async function findUndeclared(directory: string, declared?: { readonly program: string; readonly pid: number | undefined }): Promise<Finding[]> {
  const [real, program] = await Promise.all([directory, declared?.program ?? ""].map((path) => realpath(path).catch(() => path))) as [string, string];
  const within = (path: string): boolean => isWithin(path, real) || isWithin(path, directory);
  const belongs = async ({ pid, workplace, paths }: Resident): Promise<boolean> => {
    if (declared === undefined) return workplace === real;
    // Not everybody who was given something of it: the logs are for others to read.
    return within(workplace) || (paths.some(within) && (await executableOf(pid)) === program);
  };
  const isStranger = async (resident: Resident): Promise<boolean> => (await belongs(resident)) && !(await isRelated(resident.pid, declared?.pid));
  const residents = await looks.share("all", lookAround);
  const strangers = (await Promise.all(residents.map(async (resident) => ((await isStranger(resident)) ? [resident] : [])))).flat();
  if (strangers.length === 0) return [];
  const ports = await portsOf(strangers.map(({ pid }) => pid));
  return (await Promise.all(strangers.map(async (stranger) => describe(stranger, ports.get(stranger.pid) ?? [], within)))).flat();
}

async function lookAround(): Promise<readonly Resident[]> {
  const residents = await Promise.all(
    (await listProcesses()).map(async (pid): Promise<Resident[]> => {
      const [workplace, words] = await Promise.all([directoryOf(pid), commandLineOf(pid)]);
      // Of a process that has ended, or is the kernel's or another user's, nothing is told.
      return workplace === undefined ? [] : [{ pid, workplace, paths: words.slice(1).filter((word) => word !== "").map((word) => resolve(workplace, word.slice(word.startsWith("-") ? word.indexOf("=") + 1 : 0))) }];
    }),
  );
  return residents.flat();
}

/** The provider's own family does not count either: whoever runs `pulumi up` may work anywhere. */
async function isRelated(pid: number, own: number | undefined): Promise<boolean> {
  const family = own === undefined ? [process.pid] : [process.pid, own];
  const elders = await ancestorsOf(pid);
  if (family.some((member) => member === pid || elders.includes(member))) return true;
  return (await Promise.all(family.map(ancestorsOf))).some((ancestors) => ancestors.includes(pid));
}

async function describe({ pid, workplace, paths }: Resident, ports: readonly number[], within: (path: string) => boolean): Promise<Finding[]> {
  const record = await recordOf(pid);
  if (ports.length === 0 || record === undefined) return [];
  const since = await startOf(record);
  const given = paths.findLast(within);
  const place = given === undefined || within(workplace) ? `works in ${workplace}` : `was started with ${given}`;
  const actual = `${await programName(pid)} (pid ${pid}) ${place} and listens on port ${ports.join(", ")}`;
  return [{ thing: "undeclared program", declared: "none", actual, ...(since !== undefined && { since: since.toISOString() }), mend: "leave" }];
}
