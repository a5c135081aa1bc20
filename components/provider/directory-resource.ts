import { chmod, lstat, mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { Finding } from "../drift.ts";
import { ignoreAbsent, octal, writeFileAtomically } from "./atomic-file.ts";
import { flag, list, mode, path, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import type { CheckFailure, ResourceType } from "./resource-type.ts";

/** Stands in each directory that this toolkit may empty: what it has not made, it does not delete. */
export const markerName = ".redis-access-directory";

const fields = {
  path,
  mode: withDefault(mode, "0700"),
  /** Whether everything in it goes with it: logs, data, whatever its programs have written. Otherwise it goes only when empty. */
  purge: withDefault(flag, false),
  /** Entries that stay, and the directory with them, when it is purged. */
  keep: withDefault(list(text), []),
};

type Inputs = Parsed<typeof fields>;

/** A directory to be purged already holds what this toolkit has not put there. */
export class ForeignDirectoryError extends Error {
  readonly code = "FOREIGN_DIRECTORY";

  constructor(directory: string) {
    super(`${directory} exists, is not empty and was not made by this toolkit; at the end it would be deleted with all it holds. Choose another directory, or empty it`);
    this.name = "ForeignDirectoryError";
  }
}

/** A directory that is made, and removed, with the stack. */
export const directoryResource: ResourceType<typeof fields> = {
  fields,
  leftOut: [],
  notCompared: [],
  replaceOn: ["path"],
  outputs: [],
  secretOutputs: [],
  expectations: ["drift"],
  expectedFrom: [],
  expect: () => ({ drift: [] }),
  preflight: async ({ known }, old) => (known.path === undefined || old?.path === known.path ? [] : refuseForeign(known.path, known.purge ?? false)),
  identify: (inputs) => inputs.path,
  async create(inputs) {
    if (inputs.purge && (await isForeign(inputs.path))) throw new ForeignDirectoryError(inputs.path);
    await mkdir(inputs.path, { recursive: true, mode: 0o700 });
    return apply(inputs);
  },
  async read(inputs, state) {
    const facts = await lstat(inputs.path).catch(ignoreAbsent);
    if (facts?.isDirectory() !== true) return undefined;
    const actual = octal(facts.mode);
    const finding: Finding = { thing: `mode of ${basename(inputs.path)}/`, declared: inputs.mode, actual, since: facts.ctime.toISOString(), mend: "write" };
    return { mode: actual, purge: state["purge"], keep: state["keep"], drift: actual === inputs.mode ? [] : [finding] };
  },
  update: apply,
  delete: remove,
};

async function apply(inputs: Inputs): Promise<Record<string, unknown>> {
  await chmod(inputs.path, Number.parseInt(inputs.mode, 8));
  if (inputs.purge) {
    const owner = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
    await writeFileAtomically(join(inputs.path, markerName), "Made by redis-access. It is deleted, with all it holds, when its stack is destroyed.\n", "0600", owner);
  }
  return { mode: inputs.mode, purge: inputs.purge, keep: inputs.keep, drift: [] };
}

async function refuseForeign(directory: string, purge: boolean): Promise<readonly CheckFailure[]> {
  if (directory === homedir() || directory.split("/").length < 3) {
    return [{ property: "path", reason: `${directory} is not a directory of this toolkit's own` }];
  }
  if (!purge || !(await isForeign(directory))) return [];
  return [{ property: "path", reason: new ForeignDirectoryError(directory).message }];
}

/** An empty one may be the beginning of an interrupted run; one with the marker is ours. */
async function isForeign(directory: string): Promise<boolean> {
  const entries = (await readdir(directory).catch(ignoreAbsent)) ?? [];
  return entries.length > 0 && !entries.includes(markerName);
}

async function remove({ path: directory, purge, keep }: Inputs): Promise<void> {
  const entries = await readdir(directory).catch(ignoreAbsent);
  if (entries === undefined) return;
  const kept = entries.filter((entry) => keep.includes(entry));
  if (purge && entries.includes(markerName)) {
    const goes = entries.filter((entry) => !kept.includes(entry) && (entry !== markerName || kept.length === 0));
    // The marker goes last: interrupted in between, the next run may still go on.
    goes.sort((a, b) => Number(a === markerName) - Number(b === markerName));
    for (const entry of goes) await rm(join(directory, entry), { recursive: true, force: true });
  }
  if (kept.length === 0) await rmdir(directory).catch(ignoreNotEmpty);
}

function ignoreNotEmpty(error: unknown): void {
  if (error instanceof Error && "code" in error && (error.code === "ENOTEMPTY" || error.code === "ENOENT" || error.code === "EEXIST")) return;
  throw error;
}
