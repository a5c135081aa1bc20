import { nodeName } from "./cluster-plan.ts";
import { ownMember } from "./formation-plan.ts";
import type { NodeView } from "./formation-plan.ts";
import type { ScaleGoal, ScaleOutline } from "./scale-plan.ts";

/** What is left to be done, in lines for an operator, in the order in which it is done; empty where nothing is. */
export function describeScale(outline: ScaleOutline, { layout, masters }: Pick<ScaleGoal, "layout" | "masters">): string[] {
  const { join, release, open, takeOver, follow, moves, leave, exchange } = outline;
  const newMasters = join.filter((view) => !follow.some(({ replica }) => replica === view));
  const lines = [
    ...newMasters.map((view) => `add ${name(view)} as a master${followersOf(view, outline)}`),
    ...release.map((view) => `make ${name(view)}, a replica until now, a master of its own${followersOf(view, outline)}`),
    ...(open.length === 0 ? [] : [`settle ${count(open.length, "slot")} that an interrupted move has left half moved`]),
    ...takeOver.map(({ from, successor }) => `${name(successor)} takes over from ${name(from)}, which leaves`),
    ...follow.filter(({ master }) => !newMasters.includes(master) && !release.includes(master)).map(({ replica, master }) => `${join.includes(replica) ? "add" : "turn"} ${name(replica)} ${join.includes(replica) ? "as a replica of" : "into a replica of"} ${name(master)}`),
    ...describeMoves(moves),
    ...(leave.length === 0 ? [] : [`take ${list(leave.map((leaver) => leaver.name))} out of the cluster`]),
    ...exchange.map(({ replica, partner }) => `exchange the replicas ${name(replica)} and ${name(partner)}, for their masters' hosts`),
  ];
  const change = layout === undefined || layout.length === masters ? [] : [`from ${layout.length} masters to ${masters}:`];
  return lines.length === 0 ? [] : [...change, ...lines];
}

function followersOf(master: NodeView, { follow }: ScaleOutline): string {
  const followers = follow.filter((one) => one.master === master).map(({ replica }) => replica);
  return followers.length === 0 ? "" : `, with ${list(followers.map(name))} as its ${followers.length === 1 ? "replica" : "replicas"}`;
}

function describeMoves(moves: ScaleOutline["moves"]): string[] {
  if (moves.length === 0) return [];
  const total = moves.reduce((sum, { slots }) => sum + slots.length, 0);
  const keys = estimateKeys(moves);
  const parts = moves.map(({ from, to, slots }) => `${slots.length} from ${name(from)} to ${name(to)}`);
  return [`move ${count(total, "slot")}${keys === 0 ? "" : ` with about ${count(keys, "key")}`}: ${parts.join(", ")}`];
}

/** As many of a master's keys as its slots that move, as if all its slots held the same. */
function estimateKeys(moves: ScaleOutline["moves"]): number {
  return Math.round(moves.reduce((sum, { from, slots }) => sum + (from.keys * slots.length) / Math.max(1, ownMember(from).slots), 0));
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

function name(view: NodeView): string {
  return nodeName(view.node);
}

function list(items: readonly string[]): string {
  return items.length <= 1 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)!}`;
}
