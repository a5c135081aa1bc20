import type { Stats } from "node:fs";
import { chmod, lstat } from "node:fs/promises";
import { basename } from "node:path";
import type { Finding } from "../drift.ts";
import { ignoreAbsent, octal } from "./atomic-file.ts";

/** Of files that a program writes itself, such as its log: only its owner reads them. */
const privateMode = 0o600;

/** Files that others than their owner may read or write, or that their owner may run. Those that are not there do not count. */
export async function comparePrivateFiles(files: readonly string[]): Promise<Finding[]> {
  const looks = await Promise.all([...new Set(files)].map(async (file): Promise<Finding[]> => {
    const facts = await openedFile(file);
    return facts === undefined ? [] : [{ thing: `mode of ${basename(file)}`, declared: octal(privateMode), actual: octal(facts.mode), since: facts.ctime.toISOString(), mend: "write" }];
  }));
  return looks.flat();
}

/** Gives files back the mode that only lets their owner in. */
export async function closePrivateFiles(files: readonly string[]): Promise<void> {
  for (const file of new Set(files)) {
    if ((await openedFile(file)) !== undefined) await chmod(file, privateMode);
  }
}

/** What is known of a file that has another mode; undefined if it has that one, or is no file. */
async function openedFile(file: string): Promise<Stats | undefined> {
  const facts = await lstat(file).catch(ignoreAbsent);
  return facts?.isFile() === true && (facts.mode & 0o7777) !== privateMode ? facts : undefined;
}
