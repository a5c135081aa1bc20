import { nodeName } from "./cluster-plan.ts";
import type { Finding } from "./drift.ts";
import { isAlone, ownMember, slotCount } from "./formation-plan.ts";
import type { MemberView, NodeView } from "./formation-plan.ts";
import { dealReplicas, planExchanges, sharing } from "./host-spread.ts";
import type { Exchange, Shard } from "./host-spread.ts";
import { listSlots, slotsIn, writeSlots } from "./slot-ranges.ts";

/** What a cluster that was formed once must look like. Roles are not in it: whoever owns a shard's slots is its master. */
export interface TopologyDeclaration {
  /** Undefined while it changes. */
  readonly replicasPerMaster: number | undefined;
  /** The slots of each shard, such as `0-5460`, as they were when the cluster was formed; undefined where that is not known, or changes. */
  readonly layout: readonly string[] | undefined;
  /** `IP:port` of nodes that are joining it or leaving it: no strangers, and not missed. Default: none. */
  readonly passers?: ReadonlySet<string>;
}

/** One thing to be done to a cluster that was formed once. */
export type RepairStep =
  /** A member that nobody has declared, and that owns nothing, is forgotten by all. */
  | { readonly kind: "evict"; readonly id: string }
  /** A member is introduced again to one that does not know it. */
  | { readonly kind: "introduce"; readonly at: NodeView; readonly to: NodeView }
  /** A slot that belongs to nobody is given to a master: to the one that holds keys of it, else to this one. */
  | { readonly kind: "cover"; readonly slot: number; readonly owner: NodeView }
  /** A slot goes to its shard's master, with all keys of it wherever they are. */
  | { readonly kind: "move"; readonly slot: number; readonly to: NodeView }
  /** A replica of a master that has too many follows one that has too few. */
  | { readonly kind: "replicate"; readonly replica: NodeView; readonly master: NodeView }
  /**
   * The first half of an exchange: a replica follows another master, which then has too many, and its own too few. So whoever looks
   * next goes on with the second half, and whoever is cut off between them is gone on with. With one replica for each master one
   * of the two is without while both copy; it is the one that would have lost both with its host. The other one never is.
   */
  | ({ readonly kind: "exchange" } & Exchange);

/** How a cluster differs from its declaration. */
export interface TopologyDifference {
  readonly findings: readonly Finding[];
  /** Whether any of them is such as no cluster shows in passing, while a replica takes over or a node starts. */
  readonly lasting: boolean;
  /** What can be done now, the most pressing first; what comes first may make the rest needless. */
  readonly steps: readonly RepairStep[];
}

interface Part extends TopologyDifference {
  readonly findings: readonly Finding[];
}

const nothing: Part = { findings: [], lasting: false, steps: [] };

/**
 * Compares what the nodes say of their cluster with what it must look like. Pure.
 * @param views of the nodes that answer
 * @param silent `IP:port` of the declared nodes that do not, and why
 */
export function compareTopology(views: readonly NodeView[], silent: ReadonlyMap<string, string>, declared: TopologyDeclaration): TopologyDifference {
  const owners = ownersOf(views);
  const parts: Part[] = [
    describeSilent(silent),
    findStrangers(views, new Set([...views.map(({ node }) => nodeName(node)), ...silent.keys(), ...(declared.passers ?? [])])),
    findMisnamed(views),
    findUnknown(views),
    findFormer(views, silent),
    findUncovered(views, owners, declared),
    findMoved(views, owners, declared),
    silent.size > 0 ? nothing : findMisplacedReplicas(views, declared),
    findUnsettled(views),
  ];
  if (silent.size === 0) parts.push(findCrowdedReplicas(views, declared, parts.every(({ findings }) => findings.every(({ mend }) => mend === "refuse"))));
  return { findings: parts.flatMap(({ findings }) => findings), lasting: parts.some(({ lasting }) => lasting), steps: parts.flatMap(({ steps }) => steps) };
}

/** What can be done at once about the replicas of a cluster that is well, and whose slots are nobody's concern here. Pure. */
export function placeReplicas(views: readonly NodeView[], replicasPerMaster: number): RepairStep[] {
  const declared = { replicasPerMaster, layout: undefined };
  const { findings, steps } = findMisplacedReplicas(views, declared);
  return [...steps, ...findCrowdedReplicas(views, declared, findings.length === 0).steps];
}

/** The slots of each shard, as its master claims them, in the order of their first slot. */
export function layoutOf(views: readonly NodeView[]): string[] {
  const shards = views.map((view) => slotsIn(ownMember(view).ranges)).filter((slots) => slots.length > 0);
  return shards.sort(([a = 0], [b = 0]) => a - b).map(writeSlots);
}

/** The owner's id of each slot: who claims it, or else whom others hold for its owner and who does not answer. */
function ownersOf(views: readonly NodeView[]): ReadonlyMap<number, string> {
  const owners = new Map<number, string>();
  const living = new Set(views.map(({ id }) => id));
  for (const member of views.flatMap(({ members }) => members).filter(({ id }) => !living.has(id))) slotsIn(member.ranges).forEach((slot) => owners.set(slot, member.id));
  for (const view of views) slotsIn(ownMember(view).ranges).forEach((slot) => owners.set(slot, view.id));
  return owners;
}

function describeSilent(silent: ReadonlyMap<string, string>): Part {
  const findings = [...silent].map(([name, reason]): Finding => ({ thing: `member ${name}`, declared: "answers", actual: reason, mend: "cluster" }));
  return { findings, lasting: false, steps: [] };
}

function findStrangers(views: readonly NodeView[], declared: ReadonlySet<string>): Part {
  const living = new Set(views.map(({ id }) => id));
  const all = views.flatMap(({ members }) => members).filter(({ id, handshaking, address }) => !handshaking && address !== "" && !declared.has(address) && !living.has(id));
  const strangers = [...new Map(all.map((member) => [member.id, member])).values()];
  const isNeeded = ({ id }: MemberView): boolean => all.some((member) => member.id === id && member.slots > 0) || views.some((view) => ownMember(view).masterId === id);
  const findings = strangers.map((member): Finding => ({
    ...{ thing: `foreign member ${member.address}`, declared: "no member" },
    actual: isNeeded(member) ? "a member that owns slots, or that a declared node replicates" : `a ${member.isMaster ? "master without slots" : "replica"}`,
    mend: isNeeded(member) ? "refuse" : "cluster",
  }));
  return { findings, lasting: findings.length > 0, steps: strangers.filter((member) => !isNeeded(member)).map(({ id }) => ({ kind: "evict", id })) };
}

/** Members that others know by another address than their own, as they announce it (`cluster-announce-…`). */
function findMisnamed(views: readonly NodeView[]): Part {
  const findings = views.flatMap((view): Finding[] => {
    const own = nodeName(view.node);
    const addresses = views.flatMap(({ members }) => members).filter(({ id, address, handshaking }) => id === view.id && address !== "" && !handshaking && address !== own && !address.startsWith(":"));
    const [other] = new Set(addresses.map(({ address }) => address));
    return other === undefined ? [] : [{ thing: `member ${own}`, declared: `known as ${own}`, actual: `known as ${other}`, mend: "cluster" }];
  });
  return { findings, lasting: false, steps: [] };
}

/** Members that others have forgotten, or never met. */
function findUnknown(views: readonly NodeView[]): Part {
  const pairs = views.flatMap((at) => views.filter((to) => !at.members.some(({ id }) => id === to.id)).map((to) => ({ at, to })));
  const findings = views.flatMap((to): Finding[] => {
    // Of a node that is in no cluster, that is told.
    const strange = isAlone(to) ? [] : pairs.filter((pair) => pair.to === to && !isAlone(pair.at)).map(({ at }) => nodeName(at.node));
    return strange.length === 0 ? [] : [{ thing: `member ${nodeName(to.node)}`, declared: "known to all members", actual: `unknown to ${strange.join(", ")}`, mend: "cluster" }];
  });
  const shaking = views.some(({ members }) => members.some(({ handshaking }) => handshaking));
  return { findings, lasting: !shaking && findings.length > 0, steps: shaking ? [] : pairs.map(({ at, to }) => ({ kind: "introduce", at, to })) };
}

/** Members under an id that no declared node has any more. */
function findFormer(views: readonly NodeView[], silent: ReadonlyMap<string, string>): Part {
  const living = new Set(views.map(({ id }) => id));
  const names = new Set(views.map(({ node }) => nodeName(node)));
  const gone = views.flatMap(({ members }) => members).filter(({ id, address, handshaking }) => !living.has(id) && !handshaking && (address === "" ? silent.size === 0 : names.has(address)));
  const findings = [...new Map(gone.map((member) => [member.id, member])).values()].map((member): Finding => ({
    ...{ thing: `former member ${member.id.slice(0, 8)}`, declared: "forgotten", mend: "cluster" },
    actual: member.slots > 0 ? `still held for the owner of ${member.slots} slots` : "still known",
  }));
  return { findings, lasting: false, steps: [] };
}

function findUncovered(views: readonly NodeView[], owners: ReadonlyMap<number, string>, { layout }: TopologyDeclaration): Part {
  const uncovered = Array.from({ length: slotCount }, (_, slot) => slot).filter((slot) => !owners.has(slot));
  if (uncovered.length === 0) return nothing;
  const finding: Finding = { thing: "slots", declared: "each with a master", actual: `${writeSlots(uncovered)} with none`, mend: "cluster" };
  const shards = shardsOf(views, owners, layout ?? layoutOf(views));
  const steps = uncovered.flatMap((slot): RepairStep[] => {
    const held = views.flatMap(({ members }) => members).find(({ ranges }) => ranges.some(([from, to]) => from <= slot && slot <= to));
    const owner = views.find(({ id }) => id === held?.id) ?? shards.find(({ slots }) => slots.has(slot))?.master ?? views.find((view) => ownMember(view).slots > 0);
    return owner === undefined ? [] : [{ kind: "cover", slot, owner }];
  });
  return { findings: [finding], lasting: false, steps };
}

interface SlotShard {
  readonly text: string;
  readonly slots: ReadonlySet<number>;
  /** Id of its master; undefined where nobody owns a slot of it, or all who do own more of another shard. */
  readonly owner: string | undefined;
  /** Undefined where it does not answer. */
  readonly master: NodeView | undefined;
}

/** Each shard with the node that owns most of its slots, and each node with one shard: what it owns most of is the one that is its own. */
function shardsOf(views: readonly NodeView[], owners: ReadonlyMap<number, string>, layout: readonly string[]): SlotShard[] {
  const shards = layout.map((text) => ({ text, slots: new Set(listSlots(text)) }));
  const shares = shards.flatMap((shard) => {
    const counts = new Map<string, number>();
    for (const slot of shard.slots) {
      const owner = owners.get(slot);
      if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    return [...counts].map(([owner, count]) => ({ shard, owner, count }));
  });
  const masters = new Map<unknown, string>();
  const taken = new Set<string>();
  for (const { shard, owner } of shares.sort((a, b) => b.count - a.count)) {
    if (masters.has(shard) || taken.has(owner)) continue;
    masters.set(shard, owner);
    taken.add(owner);
  }
  return shards.map((shard) => ({ ...shard, owner: masters.get(shard), master: views.find(({ id }) => id === masters.get(shard)) }));
}

/** Slots that have left their shard, and slots that were left on the move. */
function findMoved(views: readonly NodeView[], owners: ReadonlyMap<number, string>, { layout }: TopologyDeclaration): Part {
  const shards = shardsOf(views, owners, layout ?? []);
  if (shards.some(({ owner, slots }) => owner === undefined && [...slots].some((slot) => owners.has(slot)))) return { ...nothing, findings: spreadFinding(views, shards.length) };
  const findings: Finding[] = [];
  const steps: RepairStep[] = [];
  for (const { text, slots, master } of shards) {
    if (master === undefined) continue;
    const strays = [...slots].filter((slot) => owners.has(slot) && owners.get(slot) !== master.id);
    const holders = new Set(strays.map((slot) => addressOf(views, owners.get(slot)!)));
    if (strays.length > 0) findings.push({ thing: `slots ${writeSlots(strays)}`, declared: `one shard with ${text}`, actual: `with ${[...holders].join(", ")}`, mend: "slots" });
    const open = [...new Set(views.flatMap((view) => ownMember(view).open))].filter((slot) => slots.has(slot) && !strays.includes(slot));
    if (open.length > 0) findings.push({ thing: `slots ${writeSlots(open)}`, declared: "settled", actual: "left on the move between two masters", mend: "slots" });
    for (const slot of [...strays, ...open]) steps.push({ kind: "move", slot, to: master });
  }
  return { findings, lasting: findings.length > 0, steps };
}

/** A shard without a master of its own: it was emptied into another, or its master does not answer, which is told elsewhere. */
function spreadFinding(views: readonly NodeView[], shards: number): Finding[] {
  const masters = views.filter((view) => ownMember(view).slots > 0).length;
  return masters >= shards ? [] : [{ thing: "slots", declared: `spread over ${shards} masters`, actual: `spread over ${masters}`, mend: "refuse" }];
}

function replicationOf(views: readonly NodeView[]): Shard[] {
  return views.filter((view) => ownMember(view).slots > 0).map((master) => ({ master, replicas: views.filter((view) => ownMember(view).masterId === master.id) }));
}

function findMisplacedReplicas(views: readonly NodeView[], { replicasPerMaster }: TopologyDeclaration): Part {
  if (replicasPerMaster === undefined) return nothing;
  const shards = replicationOf(views);
  const findings = shards.filter(({ replicas }) => replicas.length !== replicasPerMaster).map(({ master, replicas }): Finding => ({
    ...{ thing: `master ${nodeName(master.node)}`, declared: `${replicasPerMaster} replica(s)`, mend: "cluster" },
    actual: replicas.length === 0 ? "none" : `${replicas.length}: ${replicas.map(({ node }) => nodeName(node)).join(", ")}`,
  }));
  return { findings, lasting: false, steps: spareReplicas(shards, replicasPerMaster) };
}

/** Replicas that go where one is wanting. */
function spareReplicas(shards: readonly Shard[], replicasPerMaster: number): RepairStep[] {
  const places = shards.map(({ master, replicas }) => ({ master, replicas: [...replicas] }));
  const deals = dealReplicas(places, [], replicasPerMaster, (a, b) => Number(a.inSync) - Number(b.inSync));
  // One that has come in another's place copies first: until then that one is all that its master has.
  const free = deals.filter(({ replica, from }) => !replica.inSync || from!.replicas.every(({ inSync }) => inSync));
  return free.map(({ replica, to }) => ({ kind: "replicate", replica, master: to.master }));
}

/**
 * Replicas that are on their master's host, or on that of another replica of it, though the hosts allow better.
 * @param settled whether nothing else is to be mended: only then one of them is moved
 */
function findCrowdedReplicas(views: readonly NodeView[], { replicasPerMaster }: TopologyDeclaration, settled: boolean): Part {
  const shards = replicationOf(views);
  if (replicasPerMaster === undefined || shards.some(({ replicas }) => replicas.length !== replicasPerMaster)) return nothing;
  const exchanges = planExchanges(shards);
  const findings = [...new Set(exchanges.flatMap(({ replica, partner }) => [replica, partner]))].flatMap((view): Finding[] => {
    const { master, replicas } = shards.find((shard) => shard.replicas.includes(view))!;
    const neighbour = [master, ...replicas].find((other) => sharing(other, [view]) > 0);
    if (neighbour === undefined) return [];
    const whose = neighbour === master ? `its master ${nodeName(master.node)}` : `${nodeName(neighbour.node)}, a replica of the same master`;
    return [{ thing: `replica ${nodeName(view.node)}`, declared: `on another host than ${whose}`, actual: `on the same one, ${view.node.host}`, mend: "cluster" }];
  });
  const [first] = exchanges;
  // No failover brings nodes of two shards together.
  return { findings, lasting: findings.length > 0, steps: first !== undefined && settled ? [{ kind: "exchange", ...first }] : [] };
}

function findUnsettled(views: readonly NodeView[]): Part {
  const findings = views.flatMap((view): Finding[] => {
    const thing = `member ${nodeName(view.node)}`;
    if (isAlone(view)) return [{ thing, declared: "in the cluster", actual: "in no cluster", mend: "cluster" }];
    if (!view.clusterOk) return [{ thing, declared: "cluster_state:ok", actual: "cluster_state:fail", mend: "cluster" }];
    return view.inSync ? [] : [{ thing, declared: "in sync with its master", actual: "its link to the master is down, or it is being synchronised", mend: "cluster" }];
  });
  return { findings, lasting: false, steps: [] };
}

function addressOf(views: readonly NodeView[], id: string): string {
  return views.flatMap(({ members }) => members).find((member) => member.id === id && member.address !== "")?.address ?? id;
}
