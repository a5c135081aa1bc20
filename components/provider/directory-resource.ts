import type { Stats } from "node:fs";
import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, realpath, rm, rmdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Finding } from "../drift.ts";
import { ignoreAbsent, octal, ownOwner, temporaryOf, writeFileAtomically } from "./atomic-file.ts";
import { flag, list, mode, optional, path, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { inhabitantsOf, programName } from "./inhabitants.ts";
import { stop } from "./launch.ts";
import { findRecorded, recordSuffix } from "./process-record.ts";
import type { CheckFailure, ResourceType } from "./resource-type.ts";
import { findUndeclared } from "./undeclared.ts";

/** Stands in each directory that this toolkit has made: what it has not made it does not delete, nor changes its mode. */
const markerName = ".redis-access-directory";

/** Begins the line of a marker that names its stack. */
const stackLine = "Stack: ";

/** All that is left of a marker whose writer was killed. */
const unfinishedMarker = basename(temporaryOf(markerName));

const lookAgainMs = 500;
/** How the names of programs' logs end (redis-node.ts, access-proxy.ts). */
const logSuffix = ".log";

/** For a program to end, and to save what it must where that is to be kept. */
const stopGraceMs = 20_000;

const fields = {
  path,
  mode: withDefault(mode, "0700"),
  /** Whether everything in it goes with it: logs, data, whatever its programs have written. Otherwise it goes only when empty. */
  purge: withDefault(flag, false),
  /** Entries that stay, and the directory with them, when it is purged. */
  keep: withDefault(list(text), []),
  /** The stack that it belongs to; one directory never belongs to two. */
  stack: optional(text),
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

/** A directory is not made anew: a program works in it, and would lose its files and its data. */
export class DirectoryInUseError extends Error {
  readonly code = "DIRECTORY_IN_USE";

  constructor(directory: string, users: readonly string[]) {
    super(
      `${directory} is neither deleted nor made anew, because ${users.join(", ")} ${users.length === 1 ? "works" : "work"} in it. \`pulumi up --refresh\` without --replace mends it in its place; ` +
        "to have it made anew without what is in it, end what works there first",
    );
    this.name = "DirectoryInUseError";
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
  preflight: async ({ known }, old) => (known.path === undefined || old?.path === known.path ? [] : refuseForeign(known.path, known.stack)),
  identify: (inputs) => inputs.path,
  async create(inputs) {
    const problem = await describeForeign(inputs.path, inputs.stack);
    if (problem !== undefined) throw new ForeignDirectoryError(problem);
    await mkdir(inputs.path, { recursive: true, mode: 0o700 });
    return apply(inputs);
  },
  async read(inputs, state) {
    const facts = await lstat(inputs.path).catch(ignoreAbsent);
    const kept = { purge: state["purge"], keep: state["keep"], stack: state["stack"] };
    const link = await describeLink(inputs.path);
    if (link !== undefined) return { mode: state["mode"], ...kept, drift: [{ thing: `${basename(inputs.path)}/`, declared: "a directory", actual: `a symbolic link to ${await readlink(inputs.path)}`, mend: "refuse", refusals: [link] }] };
    if (facts?.isDirectory() !== true) return undefined;
    const mark = await readFile(join(inputs.path, markerName), "utf8").catch(ignoreAbsent);
    const drift = [...compareDirectory(inputs, facts, mark), ...(await findStrangers(inputs.path))];
    return { mode: octal(facts.mode), ...kept, drift };
  },
  async update(inputs) {
    const link = await describeLink(inputs.path);
    if (link !== undefined) throw new ForeignDirectoryError(link);
    return apply(inputs);
  },
  async delete(inputs, _state, replaced) {
    // The programs of a directory that is removed have been stopped before, as far as the state knows of them.
    if (replaced && inputs.purge) await refuseInUse(inputs.path);
    await remove(inputs);
  },
};

function compareDirectory(inputs: Inputs, facts: Stats, mark: string | undefined): Finding[] {
  const name = `${basename(inputs.path)}/`;
  const access = [["mode", inputs.mode, octal(facts.mode)], ["owner", ownOwner(), `${facts.uid}:${facts.gid}`]] as const;
  const findings = access.filter(([, declared, actual]) => declared !== actual).map(([fact, declared, actual]): Finding => ({ thing: `${fact} of ${name}`, declared, actual, since: facts.ctime.toISOString(), mend: "write" }));
  const expected = markOf(inputs.stack);
  // Without it, what stands in the directory would stay when the stack is destroyed.
  if (mark !== expected) findings.push({ thing: `${markerName} in ${name}`, declared: inputs.stack === undefined ? "there" : `of the stack ${inputs.stack}`, actual: mark === undefined ? "missing" : `of ${stackIn(mark) ?? "no stack"}`, mend: "write" });
  return findings;
}

async function apply(inputs: Inputs): Promise<Record<string, unknown>> {
  const facts = await stat(inputs.path);
  // Only where it must be: whoever is not root may not, not even to what is.
  if (`${facts.uid}:${facts.gid}` !== ownOwner()) await chown(inputs.path, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  await chmod(inputs.path, Number.parseInt(inputs.mode, 8));
  await writeMarker(inputs.path, inputs.stack);
  return { mode: inputs.mode, purge: inputs.purge, keep: inputs.keep, stack: inputs.stack, drift: [] };
}

async function writeMarker(directory: string, stack: string | undefined): Promise<void> {
  await writeFileAtomically(join(directory, markerName), markOf(stack), "0600", ownOwner());
}

function markOf(stack: string | undefined): string {
  return `Made by redis-access. What it has made here is deleted when its stack is destroyed.\n${stack === undefined ? "" : `${stackLine}${stack}\n`}`;
}

async function stackOf(directory: string): Promise<string | undefined> {
  const mark = await readFile(join(directory, markerName), "utf8").catch(ignoreAbsent);
  return mark === undefined ? undefined : stackIn(mark);
}

function stackIn(mark: string): string | undefined {
  return mark.split("\n").find((line) => line.startsWith(stackLine))?.slice(stackLine.length);
}

async function refuseForeign(directory: string, stack: string | undefined): Promise<readonly CheckFailure[]> {
  const reason = await describeForeign(directory, stack);
  return reason === undefined ? [] : [{ property: "path", reason }];
}

/**
 * Why a directory cannot be, or become, this toolkit's own; undefined if it can. An empty one, or one whose marker was not
 * written to its end, may be the beginning of an interrupted run; one with the marker is ours, and the marker names the stack.
 * @param stack that the directory is to belong to; undefined where it does not matter
 */
export async function describeForeign(directory: string, stack: string | undefined): Promise<string | undefined> {
  if (directory === homedir() || directory.split("/").length < 3) return `${directory} is not a directory of this toolkit's own; choose one below it`;
  const link = await describeLink(directory);
  if (link !== undefined) return link;
  const facts = await stat(directory).catch(ignoreAbsent);
  if (facts === undefined) return undefined;
  if (!facts.isDirectory()) return `${directory} is not a directory; move it away, or choose another path`;
  const entries = await readdir(directory);
  const other = await stackOf(directory);
  if (other !== undefined && stack !== undefined && other !== stack) {
    const release = `find ${directory} -name ${markerName} -exec sed -i '/^${stackLine}/d' {} +`;
    return `${directory} belongs to the stack ${other}; choose another directory, or destroy that stack first. If the state of that stack is lost, type: ${release}`;
  }
  if (entries.length === 0 || entries.includes(markerName) || entries.includes(unfinishedMarker)) return undefined;
  return `${directory} exists, is not empty and was not made by this toolkit, which would take it for its own; choose another directory, or empty it`;
}

/** That a directory is a symbolic link, which could not be told apart from somebody else's directory, nor be removed as one; undefined if it is none. */
async function describeLink(directory: string): Promise<string | undefined> {
  const facts = await lstat(directory).catch(ignoreAbsent);
  if (facts?.isSymbolicLink() !== true) return undefined;
  return `${directory} is a symbolic link to ${await readlink(directory)}; expected a directory. Stop what works there, and move what it leads to back in its place, or declare that directory`;
}

/** Undeclared programs of a directory that is no declared program's. One that is being started has no record for a moment. */
async function findStrangers(directory: string): Promise<Finding[]> {
  const look = async (): Promise<Finding[]> => ((await holdsProgram(directory)) ? [] : findUndeclared(directory));
  if ((await look()).length === 0) return [];
  await delay(lookAgainMs);
  return look();
}

/**
 * Whether a program has its record or its log in a directory, or right above it: whoever else works there is told with that program.
 * Without a record, the log still says that the program itself is no stranger there.
 */
async function holdsProgram(directory: string): Promise<boolean> {
  const entries = await Promise.all([directory, dirname(directory)].map((one) => readdir(one).catch(ignoreAbsent)));
  return entries.some((names) => names?.some((name) => name.endsWith(recordSuffix) || name.endsWith(logSuffix)));
}

async function refuseInUse(directory: string): Promise<void> {
  const inhabitants = await inhabitantsOf(await realpath(directory).catch(() => directory));
  if (inhabitants.length > 0) throw new DirectoryInUseError(directory, await Promise.all(inhabitants.map(async (pid) => `${await programName(pid)} (pid ${pid})`)));
}

async function remove({ path: directory, purge, keep, stack }: Inputs): Promise<void> {
  const link = await describeLink(directory);
  if (link !== undefined) throw new ForeignDirectoryError(link);
  await rm(join(directory, unfinishedMarker), { force: true });
  const entries = await readdir(directory).catch(ignoreAbsent);
  if (entries === undefined) return;
  if (!entries.includes(markerName)) return rmdir(directory).catch(ignoreNotEmpty);
  if (purge) for (const entry of entries.filter((name) => name.endsWith(recordSuffix))) await endRecorded(join(directory, entry));
  const goes = purge ? entries.filter((entry) => entry !== markerName && !keep.includes(entry)) : [];
  for (const entry of goes) await rm(join(directory, entry), { recursive: true, force: true });
  if (entries.length > goes.length + 1) {
    // What stays here is anybody's to go on with.
    if (stack !== undefined && (await stackOf(directory)) === stack) await writeMarker(directory, undefined);
    return;
  }
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
