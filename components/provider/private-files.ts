import type { Stats } from "node:fs";
import { chmod, lstat, readdir, readlink, rm, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Finding } from "../drift.ts";
import { ignoreAbsent, NotAFileError, octal } from "./atomic-file.ts";

/** Of files that a program writes itself, such as its log: only its owner reads them. */
const privateMode = 0o600;

/**
 * Files that others than their owner may read or write, or that their owner may run, and what is no file of the program's own,
 * such as a link to /dev/null. What is not there does not count.
 */
export async function comparePrivateFiles(files: readonly string[]): Promise<Finding[]> {
  const looks = await Promise.all([...new Set(files)].map(async (file): Promise<Finding[]> => {
    const facts = await lstat(file).catch(ignoreAbsent);
    if (facts === undefined) return [];
    const since = facts.ctime.toISOString();
    if (!facts.isFile()) return [{ thing: basename(file), declared: "a file", actual: await describeOther(file, facts), since, mend: facts.isDirectory() ? "refuse" : "write" }];
    return isPrivate(facts) ? [] : [{ thing: `mode of ${basename(file)}`, declared: octal(privateMode), actual: octal(facts.mode), since, mend: "write" }];
  }));
  return looks.flat();
}

/**
 * Gives files back the mode that only lets their owner in, and removes what is none.
 * @throws {NotAFileError} a directory
 */
export async function closePrivateFiles(files: readonly string[]): Promise<void> {
  for (const file of new Set(files)) {
    const facts = await lstat(file).catch(ignoreAbsent);
    if (facts?.isDirectory() === true) throw new NotAFileError(file, "a directory");
    if (facts?.isFile() === false) await rm(file);
    else if (facts !== undefined && !isPrivate(facts)) await chmod(file, privateMode);
  }
}

function isPrivate({ mode }: Stats): boolean {
  return (mode & 0o7777) === privateMode;
}

async function describeOther(file: string, facts: Stats): Promise<string> {
  if (facts.isSymbolicLink()) return `a symbolic link to ${await readlink(file)}`;
  return facts.isDirectory() ? "a directory" : "neither file nor directory";
}

/**
 * Files that a program holds open to write to, and that were deleted, moved away or replaced: it goes on writing to what nobody
 * finds any more.
 */
export async function findLostFiles(pid: number, files: readonly string[]): Promise<readonly { readonly file: string; readonly actual: string }[]> {
  const descriptors = `/proc/${pid}/fd`;
  const names = await readdir(descriptors).catch(() => undefined);
  // It has just ended, or is another user's.
  if (names === undefined) return [];
  // Behind the link stands the open file itself, whatever has become of its name.
  const opened = new Set(await Promise.all(names.map(async (name) => identityOf(`${descriptors}/${name}`))));
  const looks = await Promise.all(files.map(async (file) => ({ file, identity: await identityOf(file) })));
  return looks.flatMap(({ file, identity }) => {
    if (identity === undefined) return [{ file, actual: "gone: the program goes on writing to what was deleted or moved away" }];
    return opened.has(identity) ? [] : [{ file, actual: "another file than the one that the program writes to" }];
  });
}

async function identityOf(file: string): Promise<string | undefined> {
  const facts = await stat(file, { bigint: true }).catch(() => undefined);
  return facts === undefined ? undefined : `${facts.dev}:${facts.ino}`;
}
