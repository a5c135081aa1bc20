import { rulesOf } from "../acl-difference.ts";
import type { NodeAddress } from "../cluster-plan.ts";
import { distinctNodes, nodeName } from "../cluster-plan.ts";
import { ownMember } from "../formation-plan.ts";
import type { NodeView } from "../formation-plan.ts";
import type { SlotMove } from "../scale-plan.ts";

/** Sends one command to one node; commands that are sent together travel together. */
export type Call = (node: NodeAddress, command: readonly [string, ...string[]]) => Promise<unknown>;

/** How one node logs in at another, to hand over keys. */
export interface HandOverLogin {
  readonly user: string;
  readonly password: string;
}

/** What moving slots needs of the world. */
export interface SlotMoving {
  /** All masters of the cluster, which are told of each new owner. */
  readonly masters: readonly NodeView[];
  readonly call: Call;
  readonly login: HandOverLogin;
}

/** Slots that are on the move at once. Few: while one is, commands for two of its keys may have to wait for a retry. */
const slotsAtATime = 16;
const migrateLimitMs = 60_000;
/** A node that hands keys over serves nobody meanwhile. */
const handOverMs = { quick: 5, slow: 15 };
const keysAtATime = { first: 16, most: 200 };

/** What a user must be let do to hand keys over: MIGRATE, and on the other side the commands that it sends. */
const handOverRights = ["+migrate", "+restore-asking", "+select", "~*"];

/**
 * Moves slots with their keys while they are served, by the steps of `CLUSTER SETSLOT`'s documentation. It may be cut off
 * anywhere; what it leaves half done is for {@link settleSlots}.
 * @param onMoved called with the number of slots that have a new owner
 * @throws Error with what stood in the way
 */
export async function moveSlots(moves: readonly SlotMove[], moving: SlotMoving, onMoved: (slots: number) => void = () => undefined): Promise<void> {
  await withHandOverRights(moves.flatMap(({ from, to }) => [from, to]), moving, async () => {
    for (const { from, to, slots } of moves) {
      for (let start = 0; start < slots.length; start += slotsAtATime) {
        const together = slots.slice(start, start + slotsAtATime);
        await handOver(together, from, to, moving);
        onMoved(together.length);
      }
    }
  });
}

/**
 * Settles slots that were left half moved. Keys may be on both sides then, and clients find each by the redirections of the
 * move; so it is done to its end. Without keys on the other side it is called off.
 */
export async function settleSlots(slots: readonly number[], moving: SlotMoving): Promise<void> {
  const { masters, call } = moving;
  if (slots.length === 0) return;
  await withHandOverRights(masters, moving, async () => {
    for (const slot of slots) {
      const owner = masters.find((view) => ownMember(view).ranges.some(([from, until]) => from <= slot && slot <= until));
      const others = masters.filter((view) => view !== owner);
      const counts = await Promise.all(others.map(({ node }) => call(node, ["CLUSTER", "COUNTKEYSINSLOT", String(slot)])));
      const holder = others.find((_, index) => Number(counts[index]) > 0);
      if (owner !== undefined && holder !== undefined) await handOver([slot], owner, holder, moving);
      else await Promise.all(masters.map(({ node }) => call(node, ["CLUSTER", "SETSLOT", String(slot), "STABLE"])));
    }
  });
}

/**
 * No user of this toolkit's own may touch a key. One that is to hand keys over takes the rights for it, and gives them back; if
 * it is cut off in between, the next move gives them back, or the next drift check finds them.
 */
async function withHandOverRights(nodes: readonly NodeView[], { call, login: { user } }: SlotMoving, use: () => Promise<void>): Promise<void> {
  const involved = distinctNodes(nodes.map(({ node }) => node));
  const before = await Promise.all(involved.map(async (node) => rulesOf((await call(node, ["ACL", "LIST"])) as string[], user).filter((rule) => !handOverRights.includes(rule))));
  try {
    await Promise.all(involved.map((node) => call(node, ["ACL", "SETUSER", user, ...handOverRights])));
    await use();
  } finally {
    await Promise.all(involved.map((node, index) => call(node, ["ACL", "SETUSER", user, "reset", ...before[index]!]).catch(() => undefined)));
  }
}

async function handOver(slots: readonly number[], from: NodeView, to: NodeView, { masters, call, login }: SlotMoving): Promise<void> {
  const tell = (nodes: readonly NodeView[], ...words: string[]): Promise<unknown> => Promise.all(nodes.flatMap(({ node }) => slots.map((slot) => call(node, ["CLUSTER", "SETSLOT", String(slot), ...words]))));
  await tell([to], "IMPORTING", from.id);
  await tell([from], "MIGRATING", to.id);
  const pace = new Pace();
  const firstKeys = await Promise.all(slots.map((slot) => keysOf(slot, from, pace, call)));
  for (const [index, slot] of slots.entries()) {
    // A key that comes into being from here on comes into being on the other side.
    for (let keys = firstKeys[index]!; keys.length > 0; keys = await keysOf(slot, from, pace, call)) await handOverKeys(keys, from, to, pace, call, login);
  }
  // The new owner first, so that no moment leaves a slot without one.
  await tell([to], "NODE", to.id);
  await tell([from], "NODE", to.id);
  await tell(masters.filter(({ id }) => id !== to.id && id !== from.id), "NODE", to.id);
}

async function keysOf(slot: number, { node }: NodeView, pace: Pace, call: Call): Promise<string[]> {
  return (await call(node, ["CLUSTER", "GETKEYSINSLOT", String(slot), String(pace.keys)])) as string[];
}

async function handOverKeys(keys: readonly string[], from: NodeView, to: NodeView, pace: Pace, call: Call, { user, password }: HandOverLogin): Promise<void> {
  const start = performance.now();
  // What an interrupted move has left on both sides is the same: a key that is on the move takes writes on one side only.
  const reply = await call(from.node, ["MIGRATE", to.node.host, String(to.node.port), "", "0", String(migrateLimitMs), "REPLACE", "AUTH2", user, password, "KEYS", ...keys]);
  if (reply !== "OK" && reply !== "NOKEY") throw new Error(`${nodeName(from.node)} answered ${String(reply)} to MIGRATE`);
  pace.took(performance.now() - start);
}

/** How many keys are handed over at once: as many as take so little time that no client notices, whatever they hold. */
class Pace {
  keys = keysAtATime.first;

  took(ms: number): void {
    if (ms > handOverMs.slow) this.keys = Math.max(1, Math.floor(this.keys / 2));
    else if (ms < handOverMs.quick) this.keys = Math.min(keysAtATime.most, this.keys * 2);
  }
}
