import assert from "node:assert/strict";
import type { NodeAddress } from "../../../components/cluster-plan.ts";
import { nodeName } from "../../../components/cluster-plan.ts";
import { slotCount } from "../../../components/formation-plan.ts";
import type { NodeView } from "../../../components/formation-plan.ts";
import type { ScaleStep } from "../../../components/scale-plan.ts";
import { listSlots, writeSlots } from "../../../components/slot-ranges.ts";
import type { SlotRange } from "../../../components/slot-ranges.ts";
import type { RepairStep } from "../../../components/topology.ts";

interface SimulatedNode {
  readonly node: NodeAddress;
  id: string;
  masterId: string | undefined;
  readonly slots: Set<number>;
  readonly open: Set<number>;
  inSync: boolean;
  /** Ids of the members that it knows, itself among them. */
  known: Set<string>;
}

/** Whole numbers from 0 to below the bound; where a run is cut off, and what happens meanwhile. */
export type Dice = (bound: number) => number;

export function addressOf(index: number): NodeAddress {
  return addressOn([1], index);
}

/** As `addressOf`, on several hosts: the last numbers of their addresses are dealt to the nodes in turn. */
export function addressOn(hosts: readonly number[], index: number): NodeAddress {
  return { host: `127.0.0.${hosts[index % hosts.length]!}`, port: 7001 + index };
}

/**
 * A cluster as far as a plan sees it: nodes that know each other, their roles and slots. Each step is done as Redis would, or a
 * part of it, as by a run that is cut off; nothing is allowed that would lose a slot.
 */
export class SimulatedCluster {
  readonly #nodes = new Map<string, SimulatedNode>();
  readonly #dice: Dice;
  readonly #hosts: readonly number[];
  #ids = 0;

  /** @param hosts of its nodes, as for `addressOn` */
  constructor(masters: number, replicasPerMaster: number, dice: Dice, hosts: readonly number[] = [1]) {
    this.#dice = dice;
    this.#hosts = hosts;
    const members = Array.from({ length: masters * (replicasPerMaster + 1) }, (_, index) => this.start(index));
    members.forEach((member, index) => {
      member.known = new Set(members.map(({ id }) => id));
      const from = Math.floor((slotCount * index) / masters);
      const until = Math.floor((slotCount * (index + 1)) / masters);
      if (index < masters) for (let slot = from; slot < until; slot++) member.slots.add(slot);
      else member.masterId = members[index % masters]!.id;
    });
  }

  /** Starts a node that is in no cluster; one that runs is left alone. */
  start(index: number): SimulatedNode {
    const node = addressOn(this.#hosts, index);
    const running = this.#nodes.get(nodeName(node));
    if (running !== undefined) return running;
    const id = this.#newId();
    const started: SimulatedNode = { node, id, masterId: undefined, slots: new Set(), open: new Set(), inSync: true, known: new Set([id]) };
    this.#nodes.set(nodeName(node), started);
    return started;
  }

  /** What the nodes say; a copy that was under way has come to its end by the next look. */
  look(): NodeView[] {
    const all = [...this.#nodes.values()];
    const views = all.map(({ node, id, inSync, known }): NodeView => ({
      ...{ node, id, inSync, keys: 0, clusterOk: true },
      members: [...known].map((knownId) => {
        const member = all.find((other) => other.id === knownId);
        if (member === undefined) return { id: knownId, address: "", isMaster: true, masterId: undefined, failed: false, handshaking: false, slots: 0, ranges: [], open: [] };
        const { masterId, slots, open } = member;
        return { id: knownId, address: nodeName(member.node), isMaster: masterId === undefined, masterId, failed: false, handshaking: false, slots: slots.size, ranges: rangesOf(slots), open: knownId === id ? [...open] : [] };
      }),
    }));
    for (const one of all) one.inSync = true;
    return views;
  }

  /** Does a step, or as much of it as is done before the run is cut off. */
  take(step: ScaleStep): void {
    switch (step.kind) {
      case "meet":
        for (const { at, to } of this.#some(step.meet)) this.#meet(this.#at(at), this.#at(to));
        return;
      case "release":
        for (const view of this.#some(step.nodes)) this.#reset(this.#at(view));
        return;
      case "settle":
        for (const slot of this.#some(step.slots)) for (const one of this.#nodes.values()) one.open.delete(slot);
        return;
      case "take-over":
        this.failOver(this.#at(step.successor));
        return;
      case "follow":
        for (const { replica, master } of this.#some(step.follow)) this.#replicate(this.#at(replica), this.#at(master));
        return;
      case "move":
        for (const { from, to, slots } of this.#some(step.moves)) this.#move(this.#at(from), this.#at(to), slots);
        return;
      case "dismiss":
        for (const leaver of this.#some(step.leave)) this.#dismiss(leaver.id, leaver.view === undefined ? undefined : this.#at(leaver.view), step.tell.map((view) => this.#at(view)));
        return;
      case "done":
      case "refuse":
      case "wait":
      case "replace":
    }
  }

  /** Does what turns a replica to another master, wholly. */
  turn(step: RepairStep): void {
    assert.ok(step.kind === "replicate" || step.kind === "exchange", step.kind);
    this.#replicate(this.#at(step.replica), this.#at(step.kind === "exchange" ? step.to : step.master));
  }

  /** A replica becomes the master of its shard. */
  failOver(replica: SimulatedNode): void {
    const master = [...this.#nodes.values()].find(({ id }) => id === replica.masterId);
    if (master === undefined || !replica.inSync) return;
    for (const slot of master.slots) replica.slots.add(slot);
    master.slots.clear();
    master.open.clear();
    for (const one of this.#nodes.values()) if (one.masterId === master.id) one.masterId = replica.id;
    master.masterId = replica.id;
    replica.masterId = undefined;
  }

  /** Fails some shard over, as happens at any time. */
  failOverAny(): void {
    const replicas = [...this.#nodes.values()].filter(({ masterId }) => masterId !== undefined);
    if (replicas.length > 0) this.failOver(replicas[this.#dice(replicas.length)]!);
  }

  /** The slots of each master, in the order of their first. */
  layout(): string[] {
    const owners = [...this.#nodes.values()].filter(({ slots }) => slots.size > 0).map(({ slots }) => [...slots].sort((a, b) => a - b));
    return owners.sort(([a = 0], [b = 0]) => a - b).map(writeSlots);
  }

  /** Each slot has one owner, and who owns one is a master. */
  assertWhole(): void {
    const owned = [...this.#nodes.values()].flatMap(({ slots }) => [...slots]);
    assert.equal(owned.length, slotCount);
    assert.equal(new Set(owned).size, slotCount);
    for (const { slots, masterId } of this.#nodes.values()) assert.ok(slots.size === 0 || masterId === undefined);
  }

  /** All of the first where nothing is cut off; a part of them in order, at least one, otherwise. */
  #some<T>(parts: readonly T[]): readonly T[] {
    return this.#dice(3) > 0 ? parts : parts.slice(0, 1 + this.#dice(parts.length));
  }

  #at(view: NodeView): SimulatedNode {
    return this.#nodes.get(nodeName(view.node))!;
  }

  #newId(): string {
    return (++this.#ids).toString(16).padStart(40, "0");
  }

  #meet(at: SimulatedNode, to: SimulatedNode): void {
    const all = new Set([...at.known, ...to.known]);
    for (const one of this.#nodes.values()) if (all.has(one.id)) one.known = new Set([...one.known, ...all]);
  }

  #reset(one: SimulatedNode): void {
    assert.equal(one.slots.size, 0, "who owns slots is not reset");
    assert.ok(![...this.#nodes.values()].some(({ masterId }) => masterId === one.id && one.known.size > 1) || one.masterId === undefined);
    one.masterId = undefined;
    one.open.clear();
    one.id = this.#newId();
    one.known = new Set([one.id]);
  }

  #replicate(replica: SimulatedNode, master: SimulatedNode): void {
    assert.equal(replica.slots.size, 0, "who owns slots does not become a replica");
    assert.equal(master.masterId, undefined, "a replica follows a master");
    replica.masterId = master.id;
    replica.inSync = false;
  }

  #move(from: SimulatedNode, to: SimulatedNode, slots: readonly number[]): void {
    const count = this.#dice(2) > 0 ? slots.length : 1 + this.#dice(slots.length);
    for (const slot of slots.slice(0, count)) {
      assert.ok(from.slots.delete(slot), "slots are moved from their owner");
      to.slots.add(slot);
    }
    const [next] = slots.slice(count);
    if (next !== undefined) for (const one of [from, to]) one.open.add(next);
    // Since version 7 a master that has lost its last slot replicates the one that has got it, and so do its replicas.
    if (from.slots.size > 0 || this.#dice(2) > 0) return;
    for (const one of this.#nodes.values()) if (one === from || one.masterId === from.id) one.masterId = to.id;
  }

  #dismiss(id: string, leaver: SimulatedNode | undefined, staying: readonly SimulatedNode[]): void {
    assert.ok(leaver === undefined || leaver.slots.size === 0, "who owns slots is not sent away");
    const others = staying.filter(({ known }) => known.has(id));
    const told = this.#some(others);
    for (const one of told) {
      assert.notEqual(one.masterId, id, "nobody forgets its own master");
      one.known.delete(id);
    }
    if (leaver !== undefined && told.length === others.length) this.#reset(leaver);
  }
}

function rangesOf(slots: ReadonlySet<number>): SlotRange[] {
  if (slots.size === 0) return [];
  return writeSlots([...slots]).split(", ").map((range): SlotRange => {
    const all = range.split("-").map(Number);
    return [all[0]!, all.at(-1)!];
  });
}

/** How many slots each text of a layout names. */
export function sizesOf(layout: readonly string[]): number[] {
  return layout.map((text) => listSlots(text).length);
}
