import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import { isAlone } from "../formation-plan.ts";
import type { NodeView } from "../formation-plan.ts";
import { outlineScale, planScale } from "../scale-plan.ts";
import type { Leaver, Meeting, ScaleGoal, ScaleOutline, ScaleStep, SlotMove } from "../scale-plan.ts";
import { describeScale } from "../scale-text.ts";
import { describeLackOfRoom } from "../slot-room.ts";
import type { NodeMemory } from "../slot-room.ts";
import { CopyWatch } from "./copy-watch.ts";
import { FormationError, observeEach } from "./formation.ts";
import type { FormationPorts } from "./formation.ts";
import { mastersOf } from "./repair.ts";
import type { Report } from "./resource-type.ts";
import { moveSlots, settleSlots } from "./slot-moves.ts";
import type { HandOverLogin, SlotMoving } from "./slot-moves.ts";

/** What is to become of a formed cluster, and how long to try. */
export interface ScaleTask {
  readonly goal: ScaleGoal;
  /** How long it goes on without getting any nearer to the goal, and with no copy of a replica that gets on. */
  readonly limitMs: number;
  /** How long members that do not know each other are left to hear of each other by themselves. */
  readonly graceMs: number;
  readonly login: HandOverLogin;
  /** Called once, before the first step that changes anything. */
  readonly begin: () => Promise<void>;
}

/** Slots that are moved between two looks. */
const movesAtATime = 256;
const reportIntervalMs = 2000;

/**
 * Brings a formed cluster to other nodes or another number of replicas, while it serves: look, plan, do one step, look again.
 * It may be interrupted anywhere: the next run starts from what it then sees.
 * @throws {FormationError} foreign data or members, no room for the slots that move, or no progress within the limit; no node that owns slots was sent away
 */
export async function scaleCluster(task: ScaleTask, ports: FormationPorts, report: Report): Promise<void> {
  const run = new ScaleRun(task, ports, report);
  while (await run.goOn());
}

/**
 * Tells what `scaleCluster` would do, as far as the nodes say it now.
 * @param isNew whether a declared node that does not answer has yet to be made
 * @throws {FormationError} it would be refused
 */
export async function foretellScale(goal: ScaleGoal, isNew: (node: NodeAddress) => boolean, ports: Pick<FormationPorts, "observe" | "memory">, report: Report): Promise<void> {
  const { views, silent } = await observeEach([...goal.nodes, ...goal.leaving], ports);
  const missing = goal.nodes.filter((node) => silent.has(nodeName(node)));
  const broken = missing.find((node) => !isNew(node));
  if (broken !== undefined) {
    report.say(`what will move cannot be told: ${silent.get(nodeName(broken))!}`);
    return;
  }
  const outline = outlineScale([...views, ...missing.map(futureNode)], goal);
  if (!("kind" in outline)) {
    await checkRoom(outline, (node) => (silent.has(nodeName(node)) ? undefined : ports.memory(node)));
    tellPlan(outline, goal, report);
  } else if (outline.kind === "refuse") throw new FormationError(outline.reason);
  else report.say(`what will move cannot be told yet: ${outline.kind === "wait" ? outline.reason : `${nodeName(outline.successor.node)} has yet to take over`}`);
}

/** In one piece: the engine shows what comes side by side in any order. */
function tellPlan(outline: ScaleOutline, goal: ScaleGoal, report: Report): void {
  const lines = describeScale(outline, goal);
  if (lines.length > 0) report.say(lines.join("\n"));
}

/** A node that is yet to be started: alone and empty. */
function futureNode(node: NodeAddress): NodeView {
  const id = `future ${nodeName(node)}`;
  const self = { id, address: nodeName(node), isMaster: true, masterId: undefined, failed: false, handshaking: false, slots: 0, ranges: [], open: [] };
  return { node, id, keys: 0, clusterOk: true, inSync: true, members: [self] };
}

/**
 * A move into a master that is full would stop half way, and its clients could not write any more.
 * @throws {FormationError} a master may not hold what it is to get
 */
async function checkRoom(outline: ScaleOutline, memoryOf: (node: NodeAddress) => Promise<NodeMemory> | undefined): Promise<void> {
  const involved = new Map(outline.moves.flatMap(({ from, to }) => [from, to]).map((view) => [view.id, view.node]));
  const known = await Promise.all([...involved].map(async ([id, node]) => [id, await memoryOf(node)] as const));
  const problem = describeLackOfRoom(outline, new Map(known.flatMap(([id, memory]) => (memory === undefined ? [] : [[id, memory]]))));
  if (problem !== undefined) throw new FormationError(problem);
}

class ScaleRun {
  readonly #task: ScaleTask;
  readonly #ports: FormationPorts;
  readonly #report: Report;
  #deadline: number;
  #obstacle = "nothing has been tried";
  #told = false;
  #hasRoom = false;
  #begun = false;
  /** The least that was ever left to do. */
  #leastLeft = Infinity;
  #waitingSince: number | undefined;
  #moved = 0;
  #reportedAt = -Infinity;
  readonly #heldApart = new Set<string>();
  readonly #copies: CopyWatch;

  constructor(task: ScaleTask, ports: FormationPorts, report: Report) {
    this.#task = task;
    this.#ports = ports;
    this.#report = report;
    this.#copies = new CopyWatch([...task.goal.nodes, ...task.goal.leaving], ports);
    this.#deadline = ports.now() + task.limitMs;
  }

  /** @returns whether there is more to do */
  async goOn(): Promise<boolean> {
    const { goal, limitMs } = this.#task;
    if (this.#ports.now() >= this.#deadline) {
      if (!(await this.#copies.getsOn())) throw new FormationError(`for ${limitMs / 1000} s it has got no further: ${this.#obstacle}. What was done stays; the next update goes on from there`);
      this.#deadline = this.#ports.now() + limitMs;
    }
    const { views, silent } = await observeEach([...goal.nodes, ...goal.leaving], this.#ports);
    const missing = goal.nodes.find((node) => silent.has(nodeName(node)));
    const step = missing === undefined ? await this.#plan(views) : undefined;
    if (step === undefined) this.#obstacle = silent.get(nodeName(missing!))!;
    if (step?.kind === "done") return false;
    if (step !== undefined) {
      try {
        await this.#take(step, views);
      } catch (error) {
        if (error instanceof FormationError) throw error;
        // No end: gossip may not have got there yet, or a replica has taken over. The next look decides.
        this.#obstacle = error instanceof Error ? error.message : String(error);
      }
    }
    if (step?.kind !== "move") await this.#ports.pause();
    return true;
  }

  async #plan(views: readonly NodeView[]): Promise<ScaleStep> {
    const outline = outlineScale(views, this.#task.goal);
    if (!("kind" in outline)) {
      const left = remaining(outline);
      if (left < this.#leastLeft) {
        this.#leastLeft = left;
        this.#deadline = this.#ports.now() + this.#task.limitMs;
      }
      if (!this.#hasRoom) await checkRoom(outline, (node) => this.#ports.memory(node));
      this.#hasRoom = true;
      if (!this.#told) tellPlan(outline, this.#task.goal, this.#report);
      this.#told = true;
    }
    return planScale(views, this.#task.goal);
  }

  async #take(step: ScaleStep, views: readonly NodeView[]): Promise<void> {
    if (step.kind !== "wait") this.#waitingSince = undefined;
    if (!this.#begun && step.kind !== "wait" && step.kind !== "refuse") await this.#task.begin();
    this.#begun ||= step.kind !== "wait" && step.kind !== "refuse";
    const masters = mastersOf(views.filter((view) => !isAlone(view)));
    const moving: SlotMoving = { masters, call: (node, command) => this.#ports.call(node, command), login: this.#task.login };
    switch (step.kind) {
      case "refuse":
        throw new FormationError(step.reason);
      case "wait":
        return this.#wait(step);
      case "meet":
        return this.#meet(step.meet);
      case "release":
        for (const { node } of step.nodes) await this.#ports.call(node, ["CLUSTER", "RESET", "HARD"]);
        return;
      case "replace":
        await this.#ports.call(step.successor.node, ["CLUSTER", "FAILOVER", "FORCE"]);
        return;
      case "take-over":
        await this.#ports.call(step.successor.node, ["CLUSTER", "FAILOVER"]);
        return;
      case "settle":
        return settleSlots(step.slots, moving);
      case "follow":
        for (const { replica, master } of step.follow) await this.#ports.call(replica.node, ["CLUSTER", "REPLICATE", master.id]);
        return;
      case "move":
        return this.#move(step.moves, moving);
      case "dismiss":
        for (const leaver of step.leave) await this.#dismiss(leaver, step.tell);
        return;
      case "done":
    }
  }

  async #wait({ reason, meet }: Extract<ScaleStep, { kind: "wait" }>): Promise<void> {
    this.#obstacle = reason;
    this.#waitingSince ??= this.#ports.now();
    if (meet.length === 0 || this.#ports.now() - this.#waitingSince < this.#task.graceMs) return;
    this.#waitingSince = undefined;
    await this.#meet(meet);
  }

  async #meet(meetings: readonly Meeting[]): Promise<void> {
    for (const { at, to } of meetings) await this.#ports.call(at.node, ["CLUSTER", "MEET", to.node.host, String(to.node.port)]);
  }

  async #move(moves: readonly SlotMove[], moving: SlotMoving): Promise<void> {
    await this.#keepApart(moves);
    const left = moves.reduce((sum, { slots }) => sum + slots.length, 0);
    const total = this.#moved + left;
    await moveSlots(firstOf(moves, movesAtATime), moving, (slots) => {
      this.#moved += slots;
      const now = this.#ports.now();
      if (now - this.#reportedAt < reportIntervalMs && this.#moved < total) return;
      this.#reportedAt = now;
      this.#report.status(`moved ${this.#moved} of ${total} slots`);
    });
  }

  /** A master that has given its last slot away would replicate whoever got it, and copy all that one holds, only to leave. */
  async #keepApart(moves: readonly SlotMove[]): Promise<void> {
    const staying = new Set(this.#task.goal.nodes.map(nodeName));
    for (const { node } of moves.map(({ from }) => from)) {
      const name = nodeName(node);
      if (staying.has(name) || this.#heldApart.has(name)) continue;
      this.#heldApart.add(name);
      // Redis has it since version 7.0; before, such a master stays what it is.
      await this.#ports.call(node, ["CONFIG", "SET", "cluster-allow-replica-migration", "no"]).catch(() => undefined);
    }
  }

  async #dismiss({ id, view }: Leaver, tell: readonly NodeView[]): Promise<void> {
    const knowing = tell.filter(({ members }) => members.some((member) => member.id === id));
    // By all at once: whoever still knows it would tell the others of it.
    await Promise.all(knowing.map(({ node }) => this.#ports.call(node, ["CLUSTER", "FORGET", id])));
    if (view !== undefined) await this.#ports.call(view.node, ["CLUSTER", "RESET", "HARD"]);
  }
}

function firstOf(moves: readonly SlotMove[], most: number): SlotMove[] {
  let room = most;
  return moves.flatMap((move) => {
    const slots = move.slots.slice(0, room);
    room -= slots.length;
    return slots.length === 0 ? [] : [{ ...move, slots }];
  });
}

function remaining({ join, release, open, takeOver, follow, moves, leave }: ScaleOutline): number {
  return moves.reduce((sum, { slots }) => sum + slots.length, 0) + [join, release, open, takeOver, follow, leave].reduce((sum, { length }) => sum + length, 0);
}
