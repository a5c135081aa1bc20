import { basename } from "node:path";
import { nodeName } from "../cluster-plan.ts";
import type { Finding } from "../drift.ts";
import { CopyWatch } from "./copy-watch.ts";
import { hasClusterState } from "./former-cluster.ts";
import { launch, launchSuccessor, stop } from "./launch.ts";
import type { Launched, LaunchSpec } from "./launch.ts";
import { adjustNode, bundleRevisionOf } from "./live-node.ts";
import type { NodeDeclaration } from "./live-node.ts";
import { adjustProxy } from "./live-proxy.ts";
import { logLength, tailLog } from "./log-tail.ts";
import { withNode } from "./node-client.ts";
import type { NodeAccess } from "./node-client.ts";
import { readCopied } from "./observe.ts";
import { describeState, findOwn, fingerprintOf, takesSuccessor } from "./own-process.ts";
import { poll } from "./poll.ts";
import { closePrivateFiles } from "./private-files.ts";
import type { ProcessInputs } from "./process-inputs.ts";
import { hasLostDirectory, isRunning, isSuspended, removeRecord, restoreRecord } from "./process-record.ts";
import type { ProcessRecord } from "./process-record.ts";
import { loadingComplaint, probeReady, probeSettled, unsettledComplaint } from "./readiness.ts";
import { readReference } from "./reference-server.ts";
import { rolloutOf } from "./rollout.ts";
import type { Standing } from "./rollout.ts";
import { awaitSuccessor, handOver, leads, SuccessionError } from "./succession.ts";

/** How long a running program may complain of anything but loading before it is started anew. */
const complaintLimitMs = 5000;
/** The nodes of a cluster hear of each other's recovery within so long. */
const rumourLimitMs = 5000;

/** A program that did not become ready, or did not settle after a restart. It quotes the end of the program's log. */
export class NotReadyError extends Error {
  readonly code = "NOT_READY";
  /** What the failure has left. */
  readonly left: "stopped" | "running, but not well" | "running as before";

  constructor(problem: string, left: NotReadyError["left"], { logFile, tail, advice }: { readonly logFile: string; readonly tail: string; readonly advice: string }) {
    super(`${problem}. ${tail === "" ? `Its log ${logFile} is empty` : `The end of its log ${logFile}:\n${tail}`}${advice}`);
    this.name = "NotReadyError";
    this.left = left;
  }
}

/** What stands in the state of a program that runs as declared. */
interface Running extends Record<string, unknown> {
  readonly state: "running";
  readonly fingerprint: string;
  readonly pid: number;
  /** Of the trust bundle that a node has read. */
  readonly bundleRevision: string;
  readonly drift: readonly Finding[];
}

/** What is known of a program before it is brought up. */
export interface Circumstances {
  /** Of the trust bundle, as the state has it. */
  readonly readRevision: string | undefined;
  /** Whether nothing is known of it, so that it may be the first start of all. */
  readonly isNew: boolean;
}

/**
 * Leaves a program alone that runs as declared, and tells it what it can be told while it runs; starts it, or starts it
 * anew, otherwise: the node of a cluster in its turn, and after a replica has taken over from it.
 *
 * @throws {NotReadyError} it was started, and is not as it should be
 * @throws {ReferenceServerError} it could not run as declared; {@link SuccessionError} nobody could take over from it;
 *   `RolloutStoppedError` another node has failed before: it runs on as it did
 */
export async function bringUp(inputs: ProcessInputs, { readRevision, isNew }: Circumstances): Promise<Running> {
  const { readyRedis: node, clusterPeers: peers } = inputs;
  await closePrivateFiles([inputs.logFile, ...inputs.privateFiles]);
  const running = await findOwn(inputs);
  const told = running === undefined ? undefined : await tellLive(inputs, running, readRevision);
  if (told !== undefined) return told;
  const isFirstStart = isNew && running === undefined && !(await hasClusterState(inputs.directory));
  if (node === undefined || peers.length === 0 || isFirstStart) return startAnew(inputs);
  const member = { name: nodeName(node), standing: () => standingOf(inputs) };
  return rolloutOf([node, ...peers].map(nodeName)).turn(member, () => startAnew(inputs));
}

/** The node of a program that is one, and what it must show. */
export function nodeOf({ program, readyRedis, nodeDeclaration }: ProcessInputs): { readonly access: NodeAccess; readonly declared: NodeDeclaration } | undefined {
  return readyRedis === undefined || nodeDeclaration === undefined ? undefined : { access: readyRedis, declared: { program, ...nodeDeclaration } };
}

/** That a program does not run as declared, whatever is inside it. */
export function describeProcess({ program }: Pick<ProcessInputs, "program">, found: string, since?: Date): Finding {
  return { thing: basename(program), declared: "running", actual: found, ...(since !== undefined && { since: since.toISOString() }), mend: found === "stopped" ? "start" : "restart" };
}

/** Undefined where only a restart makes the program as declared. */
async function tellLive(inputs: ProcessInputs, running: ProcessRecord, readRevision: string | undefined): Promise<Running | undefined> {
  const fingerprint = fingerprintOf(inputs);
  if (running.fingerprint !== fingerprint || (await describeState(inputs, running)) !== "running" || (await staysReady(inputs)) !== undefined) return undefined;
  const bundleRevision = await adjust(inputs, running, readRevision);
  return bundleRevision === undefined ? undefined : { state: "running", fingerprint, pid: running.pid, bundleRevision, drift: [] };
}

/** What a program's state has as its revision once it runs as declared; undefined where only a restart is left. */
async function adjust(inputs: ProcessInputs, { pid }: ProcessRecord, readRevision: string | undefined): Promise<string | undefined> {
  const node = nodeOf(inputs);
  if (node !== undefined) return adjustNode(node.access, pid, node.declared, readRevision);
  const { proxyDeclaration } = inputs;
  return proxyDeclaration === undefined || (await adjustProxy(proxyDeclaration, { ...inputs, pid })) ? "" : undefined;
}

async function standingOf(inputs: ProcessInputs): Promise<Standing> {
  if ((await findOwn(inputs)) === undefined) return "stopped";
  const { readyRedis: node, clusterPeers: peers } = inputs;
  return node !== undefined && (await leads(node, peers)) ? "leading" : "spare";
}

async function startAnew(inputs: ProcessInputs): Promise<Running> {
  // Looked at again: a turn may have been long in coming.
  const running = await findOwn(inputs);
  const node = nodeOf(inputs);
  const { successorFile } = inputs;
  if (running !== undefined && successorFile !== undefined && (await takesSuccessor(inputs, running))) return succeed(inputs, running, successorFile);
  // A trial of the declared program with the declared texts: what would keep it from starting is found before anything is stopped.
  if (running !== undefined && node !== undefined) await readReference(node.declared.program, node.declared.conf, node.declared.acl);
  // Where the whole was not well before, one node's restart cannot be asked to heal it; nor that of a node without its data.
  const wasWell = running !== undefined && !(await hasLostDirectory(running)) && (await isWell(inputs));
  const unsucceeded = await arrangeSuccession(inputs, running, wasWell);
  if (running !== undefined && unsucceeded && (await isSuspended(running))) {
    // What it holds in memory nobody else has. Where another one does, it is not resumed: it would answer clients as the master that it was.
    process.kill(running.pid, "SIGCONT");
    const told = await tellLive(inputs, running, undefined);
    if (told !== undefined) return told;
  }
  if (running !== undefined) await stop(running, inputs.stopLimitSeconds * 1000);
  const bundleRevision = node === undefined ? "" : await bundleRevisionOf(node.declared);
  const { pid } = await start(inputs, wasWell);
  return { state: "running", fingerprint: fingerprintOf(inputs), pid, bundleRevision, drift: [] };
}

/**
 * Has the running process start the program in its place. Once that takes clients, the running one lets its own finish, and ends.
 * If it does not come so far, the running one goes on.
 */
async function succeed(inputs: ProcessInputs, running: ProcessRecord, successorFile: string): Promise<Running> {
  const { program, recordFile, logFile, readyLimitSeconds, stopLimitSeconds } = inputs;
  const fingerprint = fingerprintOf(inputs);
  const offset = await logLength(logFile);
  const fail = async (problem: string): Promise<never> => {
    const serves = await isRunning(running);
    if (serves) await restoreRecord(recordFile, running);
    throw new NotReadyError(`${program} did not become ready: ${problem}${serves ? "; the process before it goes on" : ""}`, serves ? "running as before" : "stopped", { logFile, tail: await tailLog(logFile, offset), advice: "" });
  };
  const launched = await launchSuccessor(running, { ...inputs, fingerprint }, successorFile).catch(async (error: unknown) => fail(error instanceof Error ? error.message : String(error)));
  await poll((readyLimitSeconds + stopLimitSeconds) * 1000, async () => ((await launched.ended()) !== undefined || !(await isRunning(running)) ? true : undefined));
  const ended = await launched.ended();
  if (ended !== undefined) return fail(ended);
  await stop(running, 0);
  const problem = await becomesReady(inputs, launched);
  if (problem !== undefined) {
    await stop(launched.record, stopLimitSeconds * 1000);
    await removeRecord(recordFile);
    return fail(problem);
  }
  return { state: "running", fingerprint, pid: launched.record.pid, bundleRevision: "", drift: [] };
}

/** Whether the whole that the program is a part of is well. */
async function isWell(inputs: ProcessInputs): Promise<boolean> {
  const outcome = await poll(rumourLimitMs, async () => {
    const complaint = await probeSettled(probeOf(inputs));
    return complaint === unsettledComplaint ? undefined : { complaint };
  });
  return outcome !== undefined && outcome.complaint === undefined;
}

/**
 * @returns whether it owns slots that nobody has taken over
 * @throws {SuccessionError} where going on would lose data that no other node has, or take slots down that are served
 */
async function arrangeSuccession(inputs: ProcessInputs, running: ProcessRecord | undefined, wasWell: boolean): Promise<boolean> {
  const { readyRedis: node, clusterPeers: peers, directory } = inputs;
  if (node === undefined || peers.length === 0) return false;
  const succession = { node, peers, limitMs: inputs.readyLimitSeconds * 1000 };
  const hasData = await hasClusterState(directory);
  const problem = running === undefined ? await awaitSuccessor(succession) : await handOver(succession, () => isRunning(running));
  if (problem === undefined) return false;
  if (!hasData) throw new SuccessionError(node, `its data directory ${directory} was lost, and ${problem}. Bring a replica of it back, or restore the directory`);
  if (wasWell) throw new SuccessionError(node, `it was not restarted and runs on as before, because it owns slots, and ${problem}. See that a replica of it is in sync, then run \`pulumi up\` again: it goes on from here`);
  return true;
}

async function start(inputs: ProcessInputs, mustSettle: boolean): Promise<ProcessRecord> {
  const { program, args, directory, environment, logFile, recordFile, readyRedis: node } = inputs;
  const offset = await logLength(logFile);
  const who = node === undefined ? program : `${nodeName(node)}: ${program}`;
  const advice = mustSettle && node !== undefined ? "\nNodes that have not had their turn run on as before. Mend what it says, then run `pulumi up` again: it goes on from here" : "";
  const fail = async (problem: string, left: NotReadyError["left"] = "stopped"): Promise<never> => {
    throw new NotReadyError(`${who} ${problem}`, left, { logFile, tail: await tailLog(logFile, offset), advice });
  };
  const spec: LaunchSpec = { program, args, directory, environment, logFile, recordFile, fingerprint: fingerprintOf(inputs) };
  const launched = await launch(spec).catch(async (error: unknown) => fail(`did not become ready: ${error instanceof Error ? error.message : String(error)}`));
  const problem = await becomesReady(inputs, launched);
  if (problem !== undefined) {
    // A half-started program would hold its ports against the next run.
    await stop(launched.record, inputs.stopLimitSeconds * 1000);
    await removeRecord(recordFile);
    await fail(`did not become ready: ${problem}`);
  }
  if (mustSettle) {
    const unsettled = await waitFor(inputs, () => probeSettled(probeOf(inputs)), launched);
    if (unsettled !== undefined) await fail(`did not come back well after its restart: ${unsettled}`, "running, but not well");
  }
  return launched.record;
}

async function becomesReady(inputs: ProcessInputs, launched?: Launched): Promise<string | undefined> {
  return waitFor(inputs, () => probeReady(probeOf(inputs)), launched);
}

/**
 * Whether a program that runs already is ready. One that says it is loading is waited for as long as one that was started just
 * now; any other complaint is believed when it lasts.
 */
async function staysReady(inputs: ProcessInputs): Promise<string | undefined> {
  const end = performance.now() + complaintLimitMs;
  return waitFor(inputs, async () => {
    const complaint = await probeReady(probeOf(inputs));
    return complaint !== undefined && complaint !== loadingComplaint && performance.now() >= end ? { final: complaint } : complaint;
  });
}

/**
 * Waits until a probe has nothing to complain about; its last complaint otherwise, at once if the program has ended. A node that
 * loads its data, or copies its master's, has as long as that gets on: how long it takes depends on their size.
 */
async function waitFor(inputs: ProcessInputs, look: () => Promise<string | { readonly final: string } | undefined>, launched?: Launched): Promise<string | undefined> {
  let complaint: string | undefined;
  const { readyRedis: node, readyLimitSeconds } = inputs;
  const copies = new CopyWatch(node === undefined ? [] : [node], { copied: () => withNode(node!, readCopied) });
  const outcome = await copies.poll(readyLimitSeconds * 1000, async () => {
    const seen = await look();
    if (typeof seen === "object") return { end: seen.final };
    complaint = seen;
    const end = await launched?.ended();
    // Asked after the probe: another program may answer at its address while ours has failed to get it.
    if (end !== undefined) return { end };
    return complaint === undefined ? { end: undefined } : undefined;
  });
  if (outcome === undefined) return `${complaint ?? "no answer"} (waited ${readyLimitSeconds} s)`;
  return outcome.end;
}

function probeOf({ readyTcp, readyHttp, readyRedis }: ProcessInputs): { tcp: string | undefined; http: string | undefined; redis: ProcessInputs["readyRedis"] } {
  return { tcp: readyTcp, http: readyHttp, redis: readyRedis };
}
