import type { MemberView } from "./formation-plan.ts";
import type { SlotRange } from "./slot-ranges.ts";

/** An answer of a Redis node that does not have the documented form. */
export class ClusterReplyError extends Error {
  readonly code = "CLUSTER_REPLY";

  constructor(command: string, problem: string) {
    super(`the answer to ${command} cannot be read: ${problem}`);
    this.name = "ClusterReplyError";
  }
}

/**
 * Reads the text of `CLUSTER NODES`
 * (`<id> <ip:port@cport[,hostname]> <flags> <master> <ping> <pong> <epoch> <link> <slot> …`, redis.io/commands/cluster-nodes).
 * @throws {ClusterReplyError}
 */
export function parseClusterNodes(text: string): MemberView[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new ClusterReplyError("CLUSTER NODES", "it is empty");
  return lines.map(parseLine);
}

function parseLine(line: string): MemberView {
  const [id, place, flagText, master, , , , , ...slots] = line.trim().split(" ");
  if (id === undefined || !/^[0-9a-f]{40}$/.test(id) || place === undefined || flagText === undefined || master === undefined) {
    throw new ClusterReplyError("CLUSTER NODES", `${JSON.stringify(line.slice(0, 120))} is not a node`);
  }
  const flags = flagText.split(",");
  const ranges = slots.filter((range) => !range.startsWith("[")).map(parseRange);
  return {
    id,
    address: flags.includes("noaddr") ? "" : (place.split("@")[0] ?? ""),
    isMaster: flags.includes("master"),
    masterId: master === "-" ? undefined : master,
    failed: flags.includes("fail"),
    handshaking: flags.includes("handshake"),
    slots: ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0),
    ranges,
    // `[7->-id]` and `[7-<-id]`: counted where they are owned.
    open: slots.filter((range) => range.startsWith("[")).map((range) => Number.parseInt(range.slice(1), 10)),
  };
}

/** `0-5460` or `7` */
function parseRange(range: string): SlotRange {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
  if (match === null) throw new ClusterReplyError("CLUSTER NODES", `${JSON.stringify(range)} is not a slot range`);
  return [Number(match[1]), Number(match[2] ?? match[1])];
}

/**
 * Reads the `name:value` lines of `INFO` and `CLUSTER INFO`; headings and blank lines are passed over.
 */
export function parseInfo(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}
