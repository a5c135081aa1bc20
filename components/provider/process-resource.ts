import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, realpath } from "node:fs/promises";
import { basename } from "node:path";
import type { Finding } from "../drift.ts";
import { integer, list, map, object, optional, path, sha256, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { describeFormerCluster, hasClusterState } from "./former-cluster.ts";
import { launch, stop } from "./launch.ts";
import type { Launched, LaunchSpec } from "./launch.ts";
import { logLength, tailLog } from "./log-tail.ts";
import { poll } from "./poll.ts";
import { findPortObstacle } from "./ports.ts";
import { adjustNode, bundleRevisionOf, compareNode } from "./live-node.ts";
import type { NodeDeclaration } from "./live-node.ts";
import { adjustProxy, compareProxy } from "./live-proxy.ts";
import type { NodeAccess } from "./node-client.ts";
import { directoryOf, executableOf, findRecorded, goneMark, hasLostDirectory, isRunning, recordOf, removeRecord, startOf } from "./process-record.ts";
import type { ProcessRecord } from "./process-record.ts";
import { loadingComplaint, probeReady, probeSettled } from "./readiness.ts";
import { awaitSuccessor, handOver, SuccessionError } from "./succession.ts";
import type { CheckFailure, KnownInputs, ResourceType } from "./resource-type.ts";
import type { Values } from "./wire.ts";

const port = integer(1, 65_535);
/** How long a running program may complain of anything but loading before it is started anew. */
const complaintLimitMs = 5000;

const fields = {
  program: path,
  args: withDefault(list(text), []),
  directory: path,
  environment: withDefault(map(text), {}),
  logFile: path,
  /** Where the process is recorded; it names the resource. */
  recordFile: path,
  /** Addresses it listens on; taken by another program, they are refused before anything is changed. */
  listens: withDefault(list(object({ host: text, port })), []),
  readyTcp: optional(text),
  readyHttp: optional(text),
  readyRedis: optional(object({ host: text, port, caFile: path, certFile: path, keyFile: path, pem: optional(object({ ca: text, cert: text, key: text })), user: text, password: text })),
  /** What the node of `readyRedis` must show while it runs. */
  nodeDeclaration: optional(object({ conf: text, acl: text, certificate: text })),
  /** What a proxy must answer while it runs. */
  proxyDeclaration: optional(object({ url: text, program: sha256, configuration: sha256 })),
  /** The other nodes of the cluster that the node of `readyRedis` belongs to: one of them takes over before it is stopped or started. */
  clusterPeers: withDefault(list(object({ host: text, port })), []),
  readyLimitSeconds: withDefault(integer(1, 600), 30),
  stopLimitSeconds: withDefault(integer(1, 600), 20),
  /** Anything whose change must restart it, such as the hash of its program. */
  restartOn: withDefault(map(text), {}),
  /**
   * Anything that it takes over while it runs, where `nodeDeclaration` or `proxyDeclaration` tells whether it has: a node is told
   * each parameter, user and certificate that differs, a proxy gets SIGHUP. What is not taken over that way, a restart brings.
   */
  reloadOn: withDefault(map(text), {}),
};

type Inputs = Parsed<typeof fields>;

/** A program that did not become ready, or did not settle after a restart. It quotes the end of the program's log. */
export class NotReadyError extends Error {
  readonly code = "NOT_READY";

  constructor(program: string, problem: string, logFile: string, tail: string) {
    super(`${program} did not become ready: ${problem}. ${tail === "" ? `Its log ${logFile} is empty` : `The end of its log ${logFile}:\n${tail}`}`);
    this.name = "NotReadyError";
  }
}

/** A program that runs until the stack says otherwise. */
export const processResource: ResourceType<typeof fields> = {
  fields,
  leftOut: ["nodeDeclaration", "proxyDeclaration"],
  // Told to a running program they change nothing about it; the next start uses them.
  notCompared: ["listens", "readyTcp", "readyHttp", "readyRedis", "clusterPeers", "readyLimitSeconds", "stopLimitSeconds"],
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
  create: (inputs) => bringUp(inputs, undefined),
  async read(inputs, state) {
    const record = await findOwn(inputs);
    const found = await describeState(inputs, record);
    const readRevision = revisionIn(state);
    return {
      state: found,
      // That it stopped is what counts; what it was does not change by that.
      fingerprint: record === undefined || record.fingerprint === "" ? state["fingerprint"] : record.fingerprint,
      pid: record?.pid ?? 0,
      bundleRevision: readRevision,
      drift: found === "running" && record !== undefined ? await findInside(inputs, record, readRevision) : [await describeFinding(inputs, found, record)],
    };
  },
  update: (inputs, state) => bringUp(inputs, revisionIn(state)),
  async delete(inputs) {
    const record = await findOwn(inputs);
    if (record !== undefined) await stop(record, inputs.stopLimitSeconds * 1000);
    await removeRecord(inputs.recordFile);
  },
};

async function preflight({ known, unknown }: KnownInputs<typeof fields>, old: Inputs | undefined): Promise<readonly CheckFailure[]> {
  const failures: CheckFailure[] = [];
  const probes = (["readyTcp", "readyHttp", "readyRedis"] as const).filter((name) => known[name] !== undefined || unknown.has(name));
  if (probes.length !== 1) failures.push({ property: "readyTcp", reason: "expected exactly one of readyTcp, readyHttp and readyRedis" });
  if (known.program !== undefined && !(await isExecutable(known.program))) {
    failures.push({ property: "program", reason: `${known.program} is not there, or not executable` });
  }
  const own = await findOwn(known);
  for (const { host, port: number } of known.listens ?? []) {
    const obstacle = await findPortObstacle(host, number, own?.pid);
    // Our own process there is no obstacle: it is running already, or left by an interrupted run.
    if (obstacle !== undefined && (own === undefined || obstacle.pid !== own.pid)) failures.push({ property: "listens", reason: obstacle.reason });
  }
  const former = old === undefined ? await describeFormer(known) : undefined;
  if (former !== undefined) failures.push({ property: "directory", reason: former });
  return failures;
}

/** A node that the state knows is in its cluster already; whom that has taken in meanwhile is for its formation to judge. */
async function describeFormer({ directory, listens = [], clusterPeers = [] }: Partial<Inputs>): Promise<string | undefined> {
  const [own] = listens;
  return directory === undefined || own === undefined || clusterPeers.length === 0 ? undefined : describeFormerCluster(directory, [own, ...clusterPeers]);
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function fingerprintOf({ program, args, directory, environment, logFile, restartOn }: Inputs): string {
  const sorted = (values: Readonly<Record<string, string>>): [string, string][] => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  const what = [program, args, directory, sorted(environment), logFile, sorted(restartOn)];
  return createHash("sha256").update(JSON.stringify(what)).digest("hex");
}

/**
 * The process of this resource, if it runs: the recorded one, or one that has no record, because it was started by hand or
 * its directory was deleted under it. Such a one is ours where the declared program listens at the declared address and
 * works in the declared directory; anything else there is another program's business, and an obstacle.
 */
async function findOwn({ recordFile, program, directory, listens }: Partial<Inputs>): Promise<ProcessRecord | undefined> {
  const recorded = recordFile === undefined ? undefined : await findRecorded(recordFile);
  if (recorded !== undefined || program === undefined || directory === undefined) return recorded;
  for (const { host, port: number } of listens ?? []) {
    const pid = (await findPortObstacle(host, number))?.pid;
    if (pid === undefined || ![directory, `${directory}${goneMark}`].includes((await directoryOf(pid)) ?? "")) continue;
    if ((await executableOf(pid)) === (await realpath(program).catch(() => program))) return recordOf(pid);
  }
  return undefined;
}

async function describeState(inputs: Inputs, record: ProcessRecord | undefined): Promise<string> {
  if (record === undefined) return "stopped";
  if (await hasLostDirectory(record)) return "running in a deleted directory";
  if (record.fingerprint === "") return "running, but not as this toolkit starts it";
  const [actual, declared] = await Promise.all([executableOf(record.pid), realpath(inputs.program).catch(() => inputs.program)]);
  // An upgraded package replaces the program's file: what runs is then the deleted old one.
  return actual === undefined || actual === declared ? "running" : `running ${actual}`;
}

function isToldLive(drift: unknown): boolean {
  return Array.isArray(drift) && drift.every((finding: Partial<Finding>) => finding.mend === "live");
}

/** What a program's state has as its revision once it runs as declared; undefined where only a restart is left. */
async function adjust(inputs: Inputs, { pid }: ProcessRecord, readRevision: string | undefined): Promise<string | undefined> {
  const node = nodeOf(inputs);
  if (node !== undefined) return adjustNode(node.access, pid, node.declared, readRevision);
  const { proxyDeclaration } = inputs;
  return proxyDeclaration === undefined || (await adjustProxy(proxyDeclaration, pid)) ? "" : undefined;
}

function revisionIn(state: Values): string | undefined {
  const revision = state["bundleRevision"];
  return typeof revision === "string" ? revision : undefined;
}

async function describeFinding(inputs: Inputs, found: string, record: ProcessRecord | undefined): Promise<Finding> {
  const since = record === undefined ? undefined : await startOf(record);
  return { thing: basename(inputs.program), declared: "running", actual: found, ...(since !== undefined && { since: since.toISOString() }), mend: record === undefined ? "start" : "restart" };
}

async function findInside(inputs: Inputs, { pid }: ProcessRecord, readRevision: string | undefined): Promise<readonly Finding[]> {
  const node = nodeOf(inputs);
  if (inputs.proxyDeclaration !== undefined) return compareProxy(inputs.proxyDeclaration);
  return node === undefined ? [] : (await compareNode(node.access, pid, node.declared, readRevision)).findings;
}

function nodeOf({ program, readyRedis, nodeDeclaration }: Inputs): { readonly access: NodeAccess; readonly declared: NodeDeclaration } | undefined {
  return readyRedis === undefined || nodeDeclaration === undefined ? undefined : { access: readyRedis, declared: { program, ...nodeDeclaration } };
}

/**
 * Leaves a program alone that runs as declared, and tells it what it can be told while it runs; starts it, or starts it
 * anew, otherwise.
 */
async function bringUp(inputs: Inputs, readRevision: string | undefined): Promise<Record<string, unknown>> {
  const fingerprint = fingerprintOf(inputs);
  const running = await findOwn(inputs);
  const asDeclared = running?.fingerprint === fingerprint && (await describeState(inputs, running)) === "running";
  if (running !== undefined && asDeclared && (await staysReady(inputs)) === undefined) {
    const bundleRevision = await adjust(inputs, running, readRevision);
    if (bundleRevision !== undefined) return { state: "running", fingerprint, pid: running.pid, bundleRevision, drift: [] };
  }
  // Where the whole was not well before, one node's restart cannot be asked to heal it; nor that of a node without its data.
  const mustSettle = running !== undefined && !(await hasLostDirectory(running)) && (await probeSettled(probeOf(inputs))) === undefined;
  await arrangeSuccession(inputs, running);
  if (running !== undefined) await stop(running, inputs.stopLimitSeconds * 1000);
  const node = nodeOf(inputs);
  const bundleRevision = node === undefined ? "" : await bundleRevisionOf(node.declared);
  const { pid } = await start(inputs, fingerprint, mustSettle);
  return { state: "running", fingerprint, pid, bundleRevision, drift: [] };
}

/** @throws {SuccessionError} where going on would lose data that no other node has */
async function arrangeSuccession(inputs: Inputs, running: ProcessRecord | undefined): Promise<void> {
  const { readyRedis: node, clusterPeers: peers, directory } = inputs;
  if (node === undefined || peers.length === 0) return;
  const succession = { node, peers, limitMs: inputs.readyLimitSeconds * 1000 };
  const hasData = await hasClusterState(directory);
  const problem = running === undefined ? await awaitSuccessor(succession) : await handOver(succession, () => isRunning(running));
  if (problem === undefined || hasData) return;
  throw new SuccessionError(node, `its data directory ${directory} was lost, and ${problem}. Bring a replica of it back, or restore the directory`);
}

async function start(inputs: Inputs, fingerprint: string, mustSettle: boolean): Promise<ProcessRecord> {
  const { program, args, directory, environment, logFile, recordFile } = inputs;
  const offset = await logLength(logFile);
  const fail = async (problem: string): Promise<never> => {
    throw new NotReadyError(program, problem, logFile, await tailLog(logFile, offset));
  };
  const spec: LaunchSpec = { program, args, directory, environment, logFile, recordFile, fingerprint };
  const launched = await launch(spec).catch(async (error: unknown) => fail(error instanceof Error ? error.message : String(error)));
  const problem = await becomesReady(inputs, launched);
  if (problem !== undefined) {
    // A half-started program would hold its ports against the next run.
    await stop(launched.record, inputs.stopLimitSeconds * 1000);
    await removeRecord(recordFile);
    await fail(problem);
  }
  if (mustSettle) {
    const unsettled = await waitFor(inputs, () => probeSettled(probeOf(inputs)), launched);
    if (unsettled !== undefined) await fail(`after its restart ${unsettled}`);
  }
  return launched.record;
}

async function becomesReady(inputs: Inputs, launched?: Launched): Promise<string | undefined> {
  return waitFor(inputs, () => probeReady(probeOf(inputs)), launched);
}

/**
 * Whether a program that runs already is ready. One that says it is loading is waited for as long as one that was started just
 * now; any other complaint is believed when it lasts.
 */
async function staysReady(inputs: Inputs): Promise<string | undefined> {
  const end = performance.now() + complaintLimitMs;
  return waitFor(inputs, async () => {
    const complaint = await probeReady(probeOf(inputs));
    return complaint !== undefined && complaint !== loadingComplaint && performance.now() >= end ? { final: complaint } : complaint;
  });
}

/** Waits until a probe has nothing to complain about; its last complaint otherwise, at once if the program has ended. */
async function waitFor(inputs: Inputs, look: () => Promise<string | { readonly final: string } | undefined>, launched?: Launched): Promise<string | undefined> {
  let complaint: string | undefined;
  const outcome = await poll(inputs.readyLimitSeconds * 1000, async () => {
    const seen = await look();
    if (typeof seen === "object") return { end: seen.final };
    complaint = seen;
    const end = launched?.ended();
    // Asked after the probe: another program may answer at its address while ours has failed to get it.
    if (end !== undefined) return { end };
    return complaint === undefined ? { end: undefined } : undefined;
  });
  if (outcome === undefined) return `${complaint ?? "no answer"} (waited ${inputs.readyLimitSeconds} s)`;
  return outcome.end;
}

function probeOf({ readyTcp, readyHttp, readyRedis }: Inputs): { tcp: string | undefined; http: string | undefined; redis: Inputs["readyRedis"] } {
  return { tcp: readyTcp, http: readyHttp, redis: readyRedis };
}
