import { readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";

import { PROJECT_DIRECTORY, pulumiOperation, pulumiOutput } from "./pulumi.ts";
import { say } from "./style.ts";

/**
 * Selects a stack.
 * @param create has it made where it does not exist
 * @throws {PulumiFailedError} there is none, and none is to be made (`absentStack`)
 */
export async function selectStack(stack: string, { create = false } = {}): Promise<void> {
  releaseStaleLocks(path.join(PROJECT_DIRECTORY, ".pulumi/locks"));
  await pulumiOutput(["stack", "select", stack, ...(create ? ["--create"] : [])]);
}

interface Deployment {
  readonly resources?: readonly { readonly type: string; readonly urn: string; readonly inputs?: { readonly on?: unknown } }[];
  readonly pending_operations?: readonly { readonly type: string }[];
}

async function exportDeployment(stack: string): Promise<Deployment> {
  return (JSON.parse(await pulumiOutput(["stack", "export", "--stack", stack])) as { deployment?: Deployment }).deployment ?? {};
}

/** Whether a run of Pulumi was cut off while it created something. What it changed or deleted then is in the state still; this may be nowhere. */
export async function hasPendingCreations(stack: string): Promise<boolean> {
  return ((await exportDeployment(stack)).pending_operations ?? []).some(({ type }) => type === "creating");
}

/**
 * Has the stack forget that it refuses to be destroyed, for a command that leaves its protected authorities alone. The next
 * update makes the protection anew.
 */
export async function liftProtection(stack: string): Promise<void> {
  const protections = ((await exportDeployment(stack)).resources ?? []).filter(({ type, inputs }) => type === "redisaccess:index:Protection" && inputs?.on === true);
  // The last one made depends on those before it.
  for (const { urn } of protections.reverse()) {
    await pulumiOutput(["state", "delete", urn, "--stack", stack, "--yes"]);
  }
}

/** Makes the stack as declared, mending what is not so, and forgets operations of runs that were cut off. */
export async function updateStack(stack: string) {
  const changes = await pulumiOperation(["up", "--stack", stack, "--refresh"]);
  // What a cut-off run had begun to create, this one has created; Pulumi would go on warning of it for ever.
  if (await hasPendingCreations(stack)) {
    await pulumiOutput(["refresh", "--stack", stack, "--yes", "--skip-preview", "--clear-pending-creates"]);
  }
  return changes;
}

/**
 * Removes locks of the checkout's own state whose process is dead, as after a SIGKILL or a power cut. Locks of living
 * processes and of other machines stay: those may be at work.
 *
 * @param directory where Pulumi's file backend keeps its locks, as JSON with `pid` and `hostname`
 */
export function releaseStaleLocks(directory: string): void {
  for (const entry of lockFiles(directory)) {
    const { pid, hostname: host } = JSON.parse(readFileSync(entry, "utf8")) as { pid: number; hostname: string };
    if (host !== hostname() || isAlive(pid)) continue;
    rmSync(entry, { force: true });
    say(`Released the lock of a run that is gone (process ${pid}).`);
  }
}

function lockFiles(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".json"))
      .map((name) => path.join(directory, name));
  } catch {
    return []; // there have been no locks yet
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // alive, and someone else's
  }
}

/** Killed together with its parent, a process is there until somebody collects its exit status; in a container that may be nobody. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.startsWith("Z", stat.lastIndexOf(")") + 2);
  } catch {
    return false;
  }
}
