import type { Finding } from "../drift.ts";
import { describeState, findOwn, takesSuccessor } from "./own-process.ts";
import type { ProcessInputs, processFields } from "./process-inputs.ts";
import type { ProcessRecord } from "./process-record.ts";
import { compareNode } from "./live-node.ts";
import { compareProxy } from "./live-proxy.ts";
import type { KnownInputs, Report } from "./resource-type.ts";
import { leads } from "./succession.ts";
import type { Values } from "./wire.ts";

/** More differences than these are counted, not listed. */
const listedAtMost = 8;

/**
 * Tells at preview whether a program goes on running and what it is told, or why it is started anew and when; it looks at the
 * running one for that, and changes nothing.
 */
export async function foretellProcess({ known, unknown }: KnownInputs<typeof processFields>, state: Values, report: Report): Promise<void> {
  const running = await findOwn(known);
  if (running === undefined) {
    report.say("will be started");
    return;
  }
  const inside = await compareInside(known, running, state);
  const inFiles = [...changedNames(known.reloadOn, state["reloadOn"]), ...([...unknown].some((name) => name === "nodeDeclaration" || name === "reloadOn") ? ["what follows from resources that are yet to be made, such as a new user's password"] : [])];
  const restarts = [...(await outside(known, state, running)), ...inside.filter(({ mend }) => mend === "restart").map(line)];
  // Redis lists its parameters in an order that differs from process to process.
  const told = inside.filter(({ mend }) => mend !== "restart").map(line).sort();
  const anew = told.length === 0 && inFiles.length > 0 ? [`takes over ${inFiles.join(", ")}`] : told;
  if (restarts.length > 0 && (await takesSuccessor(known, running))) {
    report.say(`will be replaced by a new process that takes clients beside it; then it takes no more, and lets those it has finish: ${listed([...restarts, ...told])}`);
  } else if (restarts.length > 0) report.say(`will be restarted${await turnOf(known)}: ${listed([...restarts, ...told])}`);
  else if (anew.length > 0) report.say(`goes on running, and ${told.length > 0 ? `is told ${listed(told)}` : anew.join("")}`);
}

/** Changes of what the program is started with. */
async function outside(known: Partial<ProcessInputs>, state: Values, running: ProcessRecord): Promise<string[]> {
  const reasons = (["program", "args", "directory", "environment", "logFile"] as const).flatMap((name) => {
    if (known[name] === undefined || JSON.stringify(known[name]) === JSON.stringify(state[name])) return [];
    return [name === "program" ? `program ${String(state[name])} → ${known[name]}` : `another ${name}`];
  });
  const files = changedNames(known.restartOn, state["restartOn"]).map((name) => `another ${name}`);
  const found = reasons.length + files.length > 0 ? "running" : await describeState(known as ProcessInputs, running);
  return [...reasons, ...files, ...(found === "running" ? [] : [found])];
}

async function compareInside({ program, readyRedis, nodeDeclaration, proxyDeclaration, listens = [], logFile, privateFiles = [] }: Partial<ProcessInputs>, { pid }: ProcessRecord, state: Values): Promise<readonly Finding[]> {
  // What it has yet to read is told by the names of files.
  if (proxyDeclaration !== undefined && logFile !== undefined) return (await compareProxy(proxyDeclaration, { pid, listens, logFile, privateFiles })).filter(({ thing }) => !thing.startsWith("configuration") && !thing.startsWith("running program"));
  if (program === undefined || readyRedis === undefined || nodeDeclaration === undefined) return [];
  const revision = state["bundleRevision"];
  return (await compareNode(readyRedis, pid, { program, ...nodeDeclaration }, typeof revision === "string" ? revision : undefined)).findings;
}

/** When a node has its turn among those of its cluster: roles are those of now. */
async function turnOf({ readyRedis: node, clusterPeers: peers = [] }: Partial<ProcessInputs>): Promise<string> {
  if (node === undefined || peers.length === 0) return "";
  return (await leads(node, peers)) ? " (a master now: after the replicas, one node at a time, once a replica has taken over)" : " (a replica now: before the masters, one node at a time)";
}

function line({ thing, declared, actual }: Finding): string {
  return `${thing} ${actual} → ${declared}`;
}

function listed(changes: readonly string[]): string {
  const more = changes.length - listedAtMost;
  return more <= 1 ? changes.join("; ") : `${changes.slice(0, listedAtMost).join("; ")}; and ${more} more`;
}

function changedNames(now: Readonly<Record<string, string>> | undefined, before: unknown): string[] {
  const old = (before ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(now ?? {}).filter(([name, hash]) => old[name] !== hash).map(([name]) => name);
}
