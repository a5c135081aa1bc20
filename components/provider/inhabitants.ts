import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { commandLineOf, directoryOf, listProcesses } from "./process-record.ts";

/** Processes that work in a directory or below it, as far as this user may see. */
export async function inhabitantsOf(directory: string): Promise<readonly number[]> {
  const pids = await listProcesses();
  const workplaces = await Promise.all(pids.map(directoryOf));
  return pids.filter((_, index) => isWithin(workplaces[index] ?? "", directory));
}

/** Whether a path is a directory's, or of something below it. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/**
 * What a process runs, for a person: as it was called, since the file may be another name of it (Debian's redis-server is
 * redis-check-rdb), and the name that the kernel keeps is that of a thread, such as Node's `MainThread`.
 */
export async function programName(pid: number): Promise<string> {
  // Redis writes its address behind its name.
  const called = (await commandLineOf(pid))[0]?.split(" ")[0] ?? "";
  return called === "" ? (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "a program")).trim() : basename(called);
}
