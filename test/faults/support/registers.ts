import type { Operation } from "./history.ts";

/** All operations on one value of one register: the write of it, and the reads that found it. */
interface Cluster {
  readonly value: string | null;
  write: Operation | undefined;
  reads: Operation[];
}

/**
 * Checks that the operations on one key are linearizable: that each seems to happen at one instant between its invocation and
 * its response. No two writes may write the same value. With that, the test of Gibbons and Korach ("Testing shared memories",
 * 1997) is exact and needs no search: the operations on one value span a zone, from the earliest response to the latest
 * invocation among them; two such spans must not cross, and a value whose operations all overlap must not lie inside a span.
 *
 * A write of unknown fate may take effect at any time after its invocation, or never; one that was refused, never.
 *
 * @param initial what is known of the register before the first operation
 * @returns what is wrong, in words; undefined where nothing is
 */
export function faultOfRegister(operations: readonly Operation[], initial: "nothing" | "anything" = "nothing"): string | undefined {
  const clusters = new Map<string | null, Cluster>();
  const refused = new Set<string | null>();
  const cluster = (value: string | null): Cluster => {
    let found = clusters.get(value);
    if (found === undefined) clusters.set(value, (found = { value, write: undefined, reads: [] }));
    return found;
  };
  for (const operation of operations) {
    if (operation.kind === "read") {
      if (operation.outcome === "done") cluster(operation.value).reads.push(operation);
    } else if (operation.outcome !== "refused") {
      const found = cluster(operation.value);
      if (found.write !== undefined) throw new Error(`two writes of ${String(operation.value)}: the check needs unique values`);
      found.write = operation;
    } else {
      refused.add(operation.value);
    }
  }
  let start: string | null | undefined = initial === "nothing" ? null : undefined;
  const zones: Zone[] = [];
  for (const found of clusters.values()) {
    if (found.write === undefined && found.reads.length > 0) {
      if (refused.has(found.value)) return `${describe(found.reads[0]!)}, whose write was refused`;
      if (start === undefined) start = found.value;
      if (found.value !== start) return `${describe(found.reads[0]!)}, which nobody wrote (at first there was ${String(start)})`;
    }
    if (found.write?.outcome === "unknown" && found.reads.length === 0) continue;
    const early = found.reads.find((read) => found.write !== undefined && read.respondedAt < found.write.invokedAt);
    if (early !== undefined) return `${describe(early)} before it was written`;
    zones.push(zoneOf(found));
  }
  return crossing(zones);
}

interface Zone {
  readonly cluster: Cluster;
  readonly low: number;
  readonly high: number;
  readonly forward: boolean;
}

function zoneOf(cluster: Cluster): Zone {
  const { write, reads } = cluster;
  const wrote = write === undefined ? -Infinity : write.outcome === "unknown" ? Infinity : write.respondedAt;
  const firstResponse = reads.reduce((least, read) => Math.min(least, read.respondedAt), wrote);
  const lastInvocation = reads.reduce((most, read) => Math.max(most, read.invokedAt), write?.invokedAt ?? -Infinity);
  const forward = firstResponse < lastInvocation;
  return { cluster, low: Math.min(firstResponse, lastInvocation), high: Math.max(firstResponse, lastInvocation), forward };
}

function crossing(zones: readonly Zone[]): string | undefined {
  const forward = zones.filter((zone) => zone.forward).sort((a, b) => a.low - b.low);
  for (let i = 1; i < forward.length; i++) {
    const [before, after] = [forward[i - 1]!, forward[i]!];
    if (after.low < before.high) return `${name(before)} was seen before and after ${name(after)}, which took its place`;
  }
  for (const zone of zones) {
    if (zone.forward) continue;
    const around = lastStartingBefore(forward, zone.low);
    if (around !== undefined && around.low < zone.low && zone.high < around.high) return `${name(around)} was seen after ${name(zone)} had taken its place`;
  }
  return undefined;
}

function lastStartingBefore(sorted: readonly Zone[], time: number): Zone | undefined {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.low < time) low = middle + 1;
    else high = middle;
  }
  return sorted[low - 1];
}

function name({ cluster }: Zone): string {
  const { value, write, reads } = cluster;
  const [first, last] = [reads[0], reads[reads.length - 1]];
  const seen = first === undefined ? "never read" : `read from ${first.invokedAt.toFixed(1)} to ${last!.respondedAt.toFixed(1)}`;
  return `${String(value)} (${write === undefined ? "there at first" : `written at ${write.invokedAt.toFixed(1)}..${write.respondedAt.toFixed(1)}, ${write.outcome}`}; ${seen})`;
}

function describe(operation: Operation): string {
  return `client ${operation.client} read ${String(operation.value)} at ${operation.invokedAt.toFixed(1)}..${operation.respondedAt.toFixed(1)}`;
}
