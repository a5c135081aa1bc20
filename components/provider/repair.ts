import { ownMember } from "../formation-plan.ts";
import type { NodeView } from "../formation-plan.ts";
import type { RepairStep } from "../topology.ts";
import type { MigrationHold } from "./migration-hold.ts";
import { moveSlots, settleSlots } from "./slot-moves.ts";
import type { Call, HandOverLogin } from "./slot-moves.ts";

/** What repair works with. */
export interface RepairMeans {
  readonly call: Call;
  readonly login: HandOverLogin;
  /** Of replicas that change places; whoever repairs lets go of them in the end. */
  readonly hold: MigrationHold;
}

/** Slots that are moved between two looks: few enough for a look to come soon, whatever they hold. */
const movesAtATime = 64;

/**
 * Does the most pressing steps: all of the first one's kind that there are, of slots a bounded number. Each may be cut off, and
 * is done again from what is then seen.
 * @returns what stood in the way, if anything
 */
export async function takeRepairSteps(steps: readonly RepairStep[], views: readonly NodeView[], { call, login, hold }: RepairMeans): Promise<string | undefined> {
  const kind = steps[0]?.kind;
  if (kind === "move") return moveBack(steps.filter((step) => step.kind === "move").slice(0, movesAtATime), mastersOf(views), call, login);
  const now = steps.filter((step) => step.kind === kind).slice(0, movesAtATime);
  for (const step of now) {
    try {
      if (step.kind !== "move") await takeStep(step, views, call, hold);
    } catch (error) {
      return `${step.kind}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}

async function moveBack(steps: readonly Extract<RepairStep, { kind: "move" }>[], masters: readonly NodeView[], call: Call, login: HandOverLogin): Promise<string | undefined> {
  const ownerOf = (slot: number): NodeView | undefined => masters.find((view) => ownMember(view).ranges.some(([from, until]) => from <= slot && slot <= until));
  const moving = { masters, call, login };
  try {
    // A slot that is where it belongs was left half moved: once it is settled, the next look has it come back if it must.
    await settleSlots(steps.filter(({ slot, to }) => [undefined, to.id].includes(ownerOf(slot)?.id)).map(({ slot }) => slot), moving);
    await moveSlots(steps.flatMap(({ slot, to }) => {
      const from = ownerOf(slot);
      return from === undefined || from.id === to.id ? [] : [{ from, to, slots: [slot] }];
    }), moving);
    return undefined;
  } catch (error) {
    return `a slot was not moved: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function takeStep(step: Exclude<RepairStep, { kind: "move" }>, views: readonly NodeView[], call: Call, hold: MigrationHold): Promise<void> {
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
      return;
    case "exchange":
      for (const view of [step.replica, step.partner]) await hold.keep(view.node);
      await call(step.replica.node, ["CLUSTER", "REPLICATE", step.to.id]);
  }
}

/** The nodes that hold themselves for masters. */
export function mastersOf(views: readonly NodeView[]): NodeView[] {
  return views.filter((view) => ownMember(view).isMaster);
}
