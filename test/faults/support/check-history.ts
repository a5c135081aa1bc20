import type { Cluster } from "ioredis";
import type { TestCluster } from "../../support/redis-cluster.ts";
import type { Append, History, Operation } from "./history.ts";
import { faultOfRegister } from "./registers.ts";

/** What was found when a history was held against what the cluster holds in the end. */
export interface Findings {
  /** What must not be, in words. */
  readonly faults: string[];
  /** Acknowledged writes that went with a master: Redis replicates after it has answered. */
  lost: number;
}

/** Writes answered so shortly before a master's end may not have reached its replica. */
const replicationLagMs = 500;

/**
 * Checks a load's history: every acknowledged write is found or was overwritten, nothing ran twice, nothing refused happened,
 * each client's own order holds, and each shared key is linearizable between the ends of masters.
 *
 * @param expected as `Load.stop` returned it
 * @param ends when a master was killed or stopped, in milliseconds of the monotonic clock
 */
export async function checkHistory(history: History, expected: ReadonlyMap<string, ReadonlySet<string | null>>, cluster: Pick<TestCluster, "clusterClient">, ends: readonly number[] = []): Promise<Findings> {
  const findings: Findings = { faults: [...history.misplaced], lost: 0 };
  const client = cluster.clusterClient();
  try {
    await checkOwn(history, expected, client, ends, findings);
    await checkShared(history.operations, client, ends, findings);
    await checkAppends(history.appends, client, ends, findings);
    await checkIncrements(history, client, ends, findings);
  } finally {
    client.disconnect();
  }
  return findings;
}

function mayBeLost(answeredAt: number, ends: readonly number[]): boolean {
  return ends.some((end) => answeredAt > end - replicationLagMs && answeredAt < end + replicationLagMs);
}

async function checkOwn(history: History, expected: ReadonlyMap<string, ReadonlySet<string | null>>, client: Cluster, ends: readonly number[], findings: Findings): Promise<void> {
  for (const { client: id, key, expected: values, found, writtenAt } of history.mismatches) {
    if (mayBeLost(writtenAt, ends)) findings.lost++;
    else findings.faults.push(`client ${id} wrote ${values.join(" or ")} to ${key} (answered at ${writtenAt.toFixed(0)}) and then read ${String(found)}`);
  }
  for (const [key, values] of expected) {
    const found = await client.get(key);
    if (values.has(found)) continue;
    findings.faults.push(`${key} holds ${String(found)} in the end, not ${[...values].join(" or ")}`);
  }
}

async function checkShared(operations: readonly Operation[], client: Cluster, ends: readonly number[], findings: Findings): Promise<void> {
  for (const [key, all] of Map.groupBy(operations, (operation) => operation.key)) {
    const invokedAt = performance.now();
    const last: Operation = { client: -1, key, kind: "read", value: await client.get(key), invokedAt, respondedAt: performance.now(), outcome: "done" };
    const bounds = [-Infinity, ...ends, Infinity];
    for (let i = 1; i < bounds.length; i++) {
      const part = between([...all, last], bounds[i - 1]!, bounds[i]!);
      const fault = faultOfRegister(part, i === 1 ? "nothing" : "anything");
      if (fault !== undefined) findings.faults.push(`${key} is not linearizable: ${fault}`);
    }
  }
}

/** The operations from one end of a master to the next; a write that was under way at either may have happened or not. */
function between(operations: readonly Operation[], from: number, to: number): Operation[] {
  return operations.flatMap((operation) => {
    const { invokedAt, respondedAt, kind } = operation;
    if (respondedAt < from || invokedAt > to) return [];
    if (invokedAt >= from && respondedAt <= to) return [operation];
    return kind === "write" && operation.outcome !== "refused" ? [{ ...operation, outcome: "unknown" as const }] : [];
  });
}

async function checkAppends(appends: readonly Append[], client: Cluster, ends: readonly number[], findings: Findings): Promise<void> {
  for (const [key, all] of Map.groupBy(appends, (append) => append.key)) {
    const list = await client.lrange(key, 0, -1);
    const places = new Map(list.map((element, place) => [element, place]));
    if (places.size !== list.length) findings.faults.push(`${key} holds elements twice: ${list.filter((element, i) => places.get(element) !== i).join(" ")}`);
    const newest = new Map<string, number>();
    for (const element of list) {
      const [id, sequence] = element.split(".") as [string, string];
      if ((newest.get(id) ?? 0) > Number(sequence)) findings.faults.push(`${key} holds ${element} behind ${id}.${newest.get(id)!}, which that client sent later`);
      newest.set(id, Number(sequence));
    }
    for (const { element, outcome, length, respondedAt } of all) {
      const place = places.get(element);
      if (outcome === "refused" && place !== undefined) findings.faults.push(`${key} holds ${element}, which was refused`);
      if (outcome !== "done") continue;
      if (place === undefined && mayBeLost(respondedAt, ends)) findings.lost++;
      else if (place === undefined) findings.faults.push(`${key} lacks ${element}, which was acknowledged`);
      else if (ends.length === 0 && length !== place + 1) findings.faults.push(`${key} holds ${element} at ${place + 1}; the reply said ${String(length)}`);
    }
  }
}

async function checkIncrements(history: History, client: Cluster, ends: readonly number[], findings: Findings): Promise<void> {
  for (const [key, all] of Map.groupBy(history.increments, (increment) => increment.key)) {
    const value = Number(await client.get(key));
    const done = all.filter(({ outcome }) => outcome === "done");
    const unknown = all.filter(({ outcome }) => outcome === "unknown").length;
    if (value > done.length + unknown) findings.faults.push(`${key} counts ${value}; only ${done.length} were answered and ${unknown} of unknown fate`);
    if (ends.length > 0) continue;
    if (value < done.length) findings.faults.push(`${key} counts ${value}; ${done.length} were acknowledged`);
    if (new Set(done.map((increment) => increment.value)).size !== done.length) findings.faults.push(`${key}: two INCR were answered with the same number`);
  }
}
