import { nodeName } from "./cluster-plan.ts";
import { ownMember } from "./formation-plan.ts";
import type { NodeView } from "./formation-plan.ts";
import type { ScaleOutline } from "./scale-plan.ts";

/** A node's memory in bytes, from `INFO memory`. */
export interface NodeMemory {
  readonly used: number;
  /** The part of it that its keys take. */
  readonly dataset: number;
  /** `maxmemory`; 0 where there is no limit. */
  readonly limit: number;
  /** `maxmemory-policy`; with any but `noeviction` a node that is full gives keys up, as its owner has chosen. */
  readonly policy: string;
}

/** Reads the fields of `INFO memory`. */
export function readMemory(info: ReadonlyMap<string, string>): NodeMemory {
  const bytes = (name: string): number => Number(info.get(name) ?? 0);
  return { used: bytes("used_memory"), dataset: bytes("used_memory_dataset"), limit: bytes("maxmemory"), policy: info.get("maxmemory_policy") ?? "" };
}

/**
 * Whether the masters that are to get slots may hold what comes with them: of each master that gives some, as much of its keys as
 * of its slots. Pure.
 * @param memories by node id; a node that has none is taken for one with room
 * @returns what stands in the way; undefined if nothing does
 */
export function describeLackOfRoom({ moves, release }: Pick<ScaleOutline, "moves" | "release">, memories: ReadonlyMap<string, NodeMemory>): string | undefined {
  const shareOf = ({ from, slots }: ScaleOutline["moves"][number]): number => ((memories.get(from.id)?.dataset ?? 0) * slots.length) / Math.max(1, ownMember(from).slots);
  const lacking = [...Map.groupBy(moves, ({ to }) => to)].flatMap(([to, incoming]): string[] => {
    const memory = memories.get(to.id);
    if (memory === undefined || memory.limit === 0 || memory.policy !== "noeviction") return [];
    // A replica that becomes a master of its own gives up what it holds first.
    const own = memory.used - (release.includes(to) ? memory.dataset : 0);
    const more = incoming.reduce((sum, move) => sum + shareOf(move), 0);
    return own + more <= memory.limit ? [] : [`${name(to)} holds ${mebibytes(own)}, would get about ${mebibytes(more)}, and may hold ${mebibytes(memory.limit)}`];
  });
  if (lacking.length === 0) return undefined;
  return `there is no room for the slots that are to move: ${lacking.join("; ")} (maxmemory, with noeviction). Nothing was moved. Raise maxmemory, let keys go, or declare more masters`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function name({ node }: NodeView): string {
  return nodeName(node);
}
