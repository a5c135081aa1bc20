import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { dirname } from "node:path";
import type { Finding } from "../drift.ts";
import { bringUp, describeProcess, nodeOf, NotReadyError } from "./bring-up.ts";
import { checkDeparture } from "./departure.ts";
import { foretellProcess } from "./foretell-process.ts";
import { describeFormerCluster } from "./former-cluster.ts";
import { programName } from "./inhabitants.ts";
import { stop } from "./launch.ts";
import { compareNode } from "./live-node.ts";
import { compareProxy } from "./live-proxy.ts";
import { describeState, findOwn, fingerprintOf, suspendedState } from "./own-process.ts";
import { poll } from "./poll.ts";
import { findPortObstacle } from "./ports.ts";
import { comparePrivateFiles } from "./private-files.ts";
import { processFields as fields } from "./process-inputs.ts";
import type { ProcessInputs } from "./process-inputs.ts";
import { directoryOf, recordOf, removeRecord, startOf } from "./process-record.ts";
import type { ProcessRecord } from "./process-record.ts";
import { HalfDoneError } from "./resource-type.ts";
import type { CheckFailure, KnownInputs, ResourceType } from "./resource-type.ts";
import { findUndeclared } from "./undeclared.ts";
import type { Values } from "./wire.ts";

/** How long a drift check waits for what may pass by itself; as long as for a cluster (formation-look.ts). */
const passingLimitMs = 6000;
const lookIntervalMs = 300;
/** Looks in a row after which an undeclared program is believed. */
const believedLooks = 2;

/** A program that runs until the stack says otherwise. */
export const processResource: ResourceType<typeof fields> = {
  fields,
  leftOut: ["nodeDeclaration", "proxyDeclaration"],
  // Told to a running program they change nothing about it; the next start uses them.
  notCompared: ["listens", "readyTcp", "readyHttp", "readyRedis", "clusterPeers", "clusterFile", "privateFiles", "successorFile", "readyLimitSeconds", "stopLimitSeconds"],
  replaceOn: ["recordFile"],
  outputs: ["pid", "bundleRevision"],
  // What a node is told while it runs leaves its process alone; so whoever depends on the process is left alone too.
  foresee: (inputs, state) => (state["state"] === "running" && state["fingerprint"] === inputs["fingerprint"] && isToldLive(state["drift"]) ? { pid: state["pid"] } : {}),
  secretOutputs: [],
  expectations: ["state", "fingerprint", "drift"],
  expectedFrom: ["environment"],
  expect: (inputs) => ({ state: "running", fingerprint: fingerprintOf(inputs), drift: [] }),
  preflight,
  identify: (inputs) => inputs.recordFile,
  create: (inputs) => bringUp(inputs, { readRevision: undefined, isNew: true }),
  async read(inputs, state) {
    const readRevision = revisionIn(state);
    const { record, found, inside, strangers } = await lookUntilSure(inputs, readRevision);
    return {
      state: found,
      // That it stopped is what counts; what it was does not change by that.
      fingerprint: record === undefined || record.fingerprint === "" ? state["fingerprint"] : record.fingerprint,
      pid: record?.pid ?? 0,
      bundleRevision: readRevision,
      drift: [
        ...(await comparePrivateFiles([inputs.logFile, ...inputs.privateFiles])),
        ...inside,
        ...strangers,
      ],
    };
  },
  update,
  foretell: foretellProcess,
  async delete(inputs) {
    await checkDeparture(inputs);
    const record = await findOwn(inputs);
    if (record !== undefined) await stop(record, inputs.stopLimitSeconds * 1000);
    await removeRecord(inputs.recordFile);
  },
};

async function preflight({ known, unknown }: KnownInputs<typeof fields>, old: ProcessInputs | undefined): Promise<readonly CheckFailure[]> {
  const failures: CheckFailure[] = [];
  const probes = (["readyTcp", "readyHttp", "readyRedis"] as const).filter((name) => known[name] !== undefined || unknown.has(name));
  if (probes.length !== 1) failures.push({ property: "readyTcp", reason: "expected exactly one of readyTcp, readyHttp and readyRedis" });
  if (known.program !== undefined && !(await isExecutable(known.program))) {
    failures.push({ property: "program", reason: `${known.program} is not there, or not executable` });
  }
  const own = await findOwn(known);
  for (const { host, port: number } of known.listens ?? []) {
    const obstacle = await findPortObstacle(host, number, own === undefined ? [] : [own.pid]);
    // Our own process there is no obstacle: it is running already, or left by an interrupted run.
    if (obstacle !== undefined && (own === undefined || obstacle.pid !== own.pid)) failures.push({ property: "listens", reason: obstacle.reason });
  }
  const former = old === undefined ? await describeFormer(known) : undefined;
  if (former !== undefined) failures.push({ property: "directory", reason: former });
  return failures;
}

/** A node that the state knows is in its cluster already; whom that has taken in meanwhile is for its formation to judge. */
async function describeFormer({ directory, listens = [], clusterPeers = [] }: Partial<ProcessInputs>): Promise<string | undefined> {
  const [own] = listens;
  return directory === undefined || own === undefined || clusterPeers.length === 0 ? undefined : describeFormerCluster(directory, [own, ...clusterPeers]);
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function isToldLive(drift: unknown): boolean {
  return Array.isArray(drift) && drift.every(({ mend }: Partial<Finding>) => mend === "live" || mend === "write" || mend === "leave");
}

/** A program that does not run as declared; where another one holds its ports, that one by name. */
async function describeOutside(inputs: ProcessInputs, found: string, record: ProcessRecord | undefined): Promise<Finding> {
  if (record !== undefined) return describeProcess(inputs, found, await startOf(record));
  const obstacles = await Promise.all(inputs.listens.map(({ host, port }) => findPortObstacle(host, port)));
  const held = obstacles.flatMap((obstacle, index) => (obstacle?.pid === undefined ? [] : [{ pid: obstacle.pid, reason: obstacle.reason, ...inputs.listens[index]! }]));
  const [first] = held;
  if (first === undefined) return describeProcess(inputs, found);
  const [holder, workplace] = await Promise.all([recordOf(first.pid), directoryOf(first.pid)]);
  const actual = `${found}; ${first.host}:${first.port} is held by ${await programName(first.pid)} (pid ${first.pid})${workplace === undefined ? "" : `, which works in ${workplace}`}`;
  return { ...describeProcess(inputs, actual, holder === undefined ? undefined : await startOf(holder)), mend: "refuse", refusals: held.map(({ reason }) => reason) };
}

async function update(inputs: ProcessInputs, state: Values): Promise<Values> {
  try {
    return await bringUp(inputs, { readRevision: revisionIn(state), isNew: false });
  } catch (error) {
    if (!(error instanceof NotReadyError) || error.left === "running as before") throw error;
    throw new HalfDoneError(error, { state: error.left, fingerprint: fingerprintOf(inputs), pid: 0, bundleRevision: "", drift: [describeProcess(inputs, error.left)] });
  }
}

function revisionIn(state: Values): string | undefined {
  const revision = state["bundleRevision"];
  return typeof revision === "string" ? revision : undefined;
}

/** What a look at a program has seen. */
interface Seen {
  readonly record: ProcessRecord | undefined;
  readonly found: string;
  readonly inside: readonly Finding[];
  /** Programs that nobody has declared. */
  readonly strangers: readonly Finding[];
}

/**
 * Looks until the program is as declared, or something is wrong that does not pass by itself, or what may pass has not: one that is
 * suspended for a moment, or started anew by somebody else just now, is no drift.
 */
async function lookUntilSure(inputs: ProcessInputs, readRevision: string | undefined): Promise<Seen> {
  let seen: Seen = { record: undefined, found: "stopped", inside: [], strangers: [] };
  let strange = 0;
  await poll(passingLimitMs, async () => {
    const record = await findOwn(inputs);
    const found = await describeState(inputs, record);
    const inside = found === "running" && record !== undefined ? await findInside(inputs, record, readRevision) : [await describeOutside(inputs, found, record)];
    const strangers = await findUndeclared(dirname(inputs.recordFile), { program: inputs.program, pid: record?.pid });
    seen = { record, found, inside, strangers };
    // One that has taken the place of the one that was looked at is no stranger to the next look.
    strange = strangers.length > 0 ? strange + 1 : 0;
    return mayPass(found, inside) || (strange > 0 && strange < believedLooks) ? undefined : true;
  }, lookIntervalMs);
  return seen;
}

/** That it does not run, is suspended, or lets nobody look. */
function mayPass(found: string, inside: readonly Finding[]): boolean {
  if (found === "stopped") return inside.every(({ mend }) => mend === "start");
  return found === suspendedState || inside.some(({ thing }) => /^(answers|login of .*|proxy)$/.test(thing));
}

async function findInside(inputs: ProcessInputs, { pid }: ProcessRecord, readRevision: string | undefined): Promise<readonly Finding[]> {
  const node = nodeOf(inputs);
  if (inputs.proxyDeclaration !== undefined) return compareProxy(inputs.proxyDeclaration, { ...inputs, pid });
  return node === undefined ? [] : (await compareNode(node.access, pid, node.declared, readRevision)).findings;
}
