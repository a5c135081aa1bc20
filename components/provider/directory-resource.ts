import { chmod, lstat, mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { Finding } from "../drift.ts";
import { ignoreAbsent, octal, temporaryOf, writeFileAtomically } from "./atomic-file.ts";
import { flag, list, mode, path, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { stop } from "./launch.ts";
import { findRecorded, recordSuffix } from "./process-record.ts";
import type { CheckFailure, ResourceType } from "./resource-type.ts";

/** Stands in each directory that this toolkit has made: what it has not made it does not delete, nor changes its mode. */
const markerName = ".redis-access-directory";

/** All that is left of a marker whose writer was killed. */
const unfinishedMarker = basename(temporaryOf(markerName));

/** For a program to end, and to save what it must where that is to be kept. */
const stopGraceMs = 20_000;

const fields = {
  path,
  mode: withDefault(mode, "0700"),
  /** Whether everything in it goes with it: logs, data, whatever its programs have written. Otherwise it goes only when empty. */
  purge: withDefault(flag, false),
  /** Entries that stay, and the directory with them, when it is purged. */
  keep: withDefault(list(text), []),
};

type Inputs = Parsed<typeof fields>;

/** A directory cannot be this toolkit's own. */
export class ForeignDirectoryError extends Error {
  readonly code = "FOREIGN_DIRECTORY";

  constructor(problem: string) {
    super(problem);
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
  preflight: async ({ known }, old) => (known.path === undefined || old?.path === known.path ? [] : refuseForeign(known.path)),
  identify: (inputs) => inputs.path,
  async create(inputs) {
    const problem = await describeForeign(inputs.path);
    if (problem !== undefined) throw new ForeignDirectoryError(problem);
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
  const owner = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  await writeFileAtomically(join(inputs.path, markerName), "Made by redis-access. What it has made here is deleted when its stack is destroyed.\n", "0600", owner);
  return { mode: inputs.mode, purge: inputs.purge, keep: inputs.keep, drift: [] };
}

async function refuseForeign(directory: string): Promise<readonly CheckFailure[]> {
  const reason = await describeForeign(directory);
  return reason === undefined ? [] : [{ property: "path", reason }];
}

/**
 * Why a directory cannot be, or become, this toolkit's own; undefined if it can. An empty one, or one whose marker was not
 * written to its end, may be the beginning of an interrupted run; one with the marker is ours.
 */
export async function describeForeign(directory: string): Promise<string | undefined> {
  if (directory === homedir() || directory.split("/").length < 3) return `${directory} is not a directory of this toolkit's own; choose one below it`;
  const facts = await stat(directory).catch(ignoreAbsent);
  if (facts === undefined) return undefined;
  if (!facts.isDirectory()) return `${directory} is not a directory; move it away, or choose another path`;
  const entries = await readdir(directory);
  if (entries.length === 0 || entries.includes(markerName) || entries.includes(unfinishedMarker)) return undefined;
  return `${directory} exists, is not empty and was not made by this toolkit, which would take it for its own; choose another directory, or empty it`;
}

async function remove({ path: directory, purge, keep }: Inputs): Promise<void> {
  await rm(join(directory, unfinishedMarker), { force: true });
  const entries = await readdir(directory).catch(ignoreAbsent);
  if (entries === undefined) return;
  if (!entries.includes(markerName)) return rmdir(directory).catch(ignoreNotEmpty);
  if (purge) for (const entry of entries.filter((name) => name.endsWith(recordSuffix))) await endRecorded(join(directory, entry));
  const goes = purge ? entries.filter((entry) => entry !== markerName && !keep.includes(entry)) : [];
  for (const entry of goes) await rm(join(directory, entry), { recursive: true, force: true });
  if (entries.length > goes.length + 1) return;
  // The marker goes last: interrupted before, the next run may still go on.
  await rm(join(directory, markerName), { force: true });
  await rmdir(directory).catch(ignoreNotEmpty);
}

/** What an interrupted run has started is recorded here and may stand in no state: nothing else would ever end it. */
async function endRecorded(recordFile: string): Promise<void> {
  const record = await findRecorded(recordFile);
  if (record !== undefined) await stop(record, stopGraceMs);
}

function ignoreNotEmpty(error: unknown): void {
  if (error instanceof Error && "code" in error && (error.code === "ENOTEMPTY" || error.code === "ENOENT" || error.code === "EEXIST")) return;
  throw error;
}
