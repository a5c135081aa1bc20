import { rulesOf } from "../acl-difference.ts";
import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import type { NodeView } from "../formation-plan.ts";
import type { RepairStep } from "../topology.ts";

/** Sends one command to one node. */
export type Call = (node: NodeAddress, command: readonly [string, ...string[]]) => Promise<unknown>;

/** What repairing needs besides the nodes: how one logs in at another, to hand over keys. */
export interface RepairLogin {
  readonly user: string;
  readonly password: string;
}

/** Slots that are moved between two looks: few enough for a look to come soon, whatever they hold. */
const movesAtATime = 64;
const keysAtATime = 100;
const migrateLimitMs = 60_000;

/**
 * Does the most pressing steps: all of the first one's kind that there are, of slots a bounded number. Each may be cut off, and
 * is done again from what is then seen.
 * @returns what stood in the way, if anything
 */
export async function takeRepairSteps(steps: readonly RepairStep[], views: readonly NodeView[], call: Call, login: RepairLogin): Promise<string | undefined> {
  const kind = steps[0]?.kind;
  if (kind === "move") return moveSlots(steps.filter((step) => step.kind === "move").slice(0, movesAtATime), mastersOf(views), call, login);
  const now = steps.filter((step) => step.kind === kind).slice(0, movesAtATime);
  for (const step of now) {
    try {
      if (step.kind !== "move") await takeStep(step, views, call);
    } catch (error) {
      return `${step.kind}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}

/**
 * No user of this toolkit's own may touch a key. One that is to hand keys over takes the rights for it, and gives them back; if
 * it is cut off in between, the next drift check finds them.
 */
async function moveSlots(steps: readonly Extract<RepairStep, { kind: "move" }>[], masters: readonly NodeView[], call: Call, login: RepairLogin): Promise<string | undefined> {
  const before = await Promise.all(masters.map(async ({ node }) => rulesOf((await call(node, ["ACL", "LIST"])) as string[], login.user)));
  try {
    for (const { node } of masters) await call(node, ["ACL", "SETUSER", login.user, "+migrate", "+restore-asking", "+select", "~*"]);
    for (const { slot, to } of steps) await moveSlot(slot, to, masters, call, login);
    return undefined;
  } catch (error) {
    return `a slot was not moved: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    for (const [index, { node }] of masters.entries()) await call(node, ["ACL", "SETUSER", login.user, "reset", ...before[index]!]).catch(() => undefined);
  }
}

async function takeStep(step: Exclude<RepairStep, { kind: "move" }>, views: readonly NodeView[], call: Call): Promise<void> {
  switch (step.kind) {
    case "evict":
      // By all at once: whoever still knows it would tell the others of it.
      await Promise.all(views.filter(({ members }) => members.some(({ id }) => id === step.id)).map(({ node }) => call(node, ["CLUSTER", "FORGET", step.id])));
      return;
    case "introduce":
      // By the one that lacks it: who was told to forget a node does not hear of it from others for a minute.
      await call(step.at.node, ["CLUSTER", "MEET", step.to.node.host, String(step.to.node.port)]);
      return;
    case "cover": {
      const masters = mastersOf(views);
      const counts = await Promise.all(masters.map(({ node }) => call(node, ["CLUSTER", "COUNTKEYSINSLOT", String(step.slot)])));
      const holder = masters.find((_, index) => Number(counts[index]) > 0);
      await call((holder ?? step.owner).node, ["CLUSTER", "ADDSLOTS", String(step.slot)]);
      return;
    }
    case "replicate":
      await call(step.replica.node, ["CLUSTER", "REPLICATE", step.master.id]);
  }
}

/**
 * Brings a slot with its keys to a master, by the steps of `CLUSTER SETSLOT`'s documentation.
 *
 * Where that one owns it already, a move was left half done. Its keys are on both sides then, and clients find each by the
 * redirections of the move; so the move is done to its end, and the next look has the slot come back. Without keys on the other
 * side it is called off.
 */
async function moveSlot(slot: number, to: NodeView, masters: readonly NodeView[], call: Call, login: RepairLogin): Promise<void> {
  const owner = masters.find(({ id, members }) => members.some((member) => member.id === id && member.ranges.some(([from, until]) => from <= slot && slot <= until)));
  const others = masters.filter(({ id }) => id !== to.id);
  if (owner !== undefined && owner.id !== to.id) return handOver(String(slot), owner, to, masters, call, login);
  const counts = await Promise.all(others.map(({ node }) => call(node, ["CLUSTER", "COUNTKEYSINSLOT", String(slot)])));
  const holder = others.find((_, index) => Number(counts[index]) > 0);
  if (owner !== undefined && holder !== undefined) return handOver(String(slot), owner, holder, masters, call, login);
  for (const { node } of masters) await call(node, ["CLUSTER", "SETSLOT", String(slot), "STABLE"]);
}

async function handOver(slot: string, from: NodeView, to: NodeView, masters: readonly NodeView[], call: Call, login: RepairLogin): Promise<void> {
  await call(to.node, ["CLUSTER", "SETSLOT", slot, "IMPORTING", from.id]);
  await call(from.node, ["CLUSTER", "SETSLOT", slot, "MIGRATING", to.id]);
  await moveKeys(slot, from, to, call, login);
  // The new owner first, so that no moment leaves the slot without one.
  for (const { node } of [to, ...masters.filter(({ id }) => id !== to.id)]) await call(node, ["CLUSTER", "SETSLOT", slot, "NODE", to.id]);
}

async function moveKeys(slot: string, source: NodeView, to: NodeView, call: Call, { user, password }: RepairLogin): Promise<void> {
  for (;;) {
    const keys = (await call(source.node, ["CLUSTER", "GETKEYSINSLOT", slot, String(keysAtATime)])) as string[];
    if (keys.length === 0) return;
    // What an interrupted move has left on both sides is the same: a key that is on the move takes writes on one side only.
    const reply = await call(source.node, ["MIGRATE", to.node.host, String(to.node.port), "", "0", String(migrateLimitMs), "REPLACE", "AUTH2", user, password, "KEYS", ...keys]);
    if (reply !== "OK" && reply !== "NOKEY") throw new Error(`${nodeName(source.node)} answered ${String(reply)} to MIGRATE`);
  }
}

function mastersOf(views: readonly NodeView[]): NodeView[] {
  return views.filter((view) => view.members.some(({ id, isMaster }) => id === view.id && isMaster));
}
