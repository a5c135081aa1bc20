import { setTimeout as delay } from "node:timers/promises";
import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import { ownMember } from "../formation-plan.ts";
import type { MemberView, NodeView } from "../formation-plan.ts";
import { withNode } from "./node-client.ts";
import type { NodeAccess } from "./node-client.ts";
import { observeNode } from "./observe.ts";
import { poll } from "./poll.ts";

/**
 * A master that comes back with less than it had is worse than one that stays away: its replicas follow it by its address
 * and give up their own copy for its old snapshot, or for nothing. So a replica takes over first: before a running master
 * is stopped, and before one that does not run is started.
 */
export interface Succession {
  /** The node itself, and how to log in to it and to its peers. */
  readonly node: NodeAccess;
  /** All other nodes of the cluster. */
  readonly peers: readonly NodeAddress[];
  readonly limitMs: number;
}

/** A node cannot be stopped or started without losing data that nobody else has. */
export class SuccessionError extends Error {
  readonly code = "NO_SUCCESSOR";

  constructor(node: NodeAddress, problem: string) {
    super(`${nodeName(node)}: ${problem}`);
    this.name = "SuccessionError";
  }
}

const lookIntervalMs = 200;
/**
 * From a hand-over to the former master's stop. Whoever has not heard of it asks the former master meanwhile, and is sent on;
 * a command that reached it at its end would be lost, and nobody could tell whether it had been executed.
 */
const redirectMs = 1000;
/** A manual failover that has not succeeded by then is given up by Redis (CLUSTER_MF_TIMEOUT, redis src/cluster.h). */
const failoverLimitMs = 5000;
/** A replica of a node that lets us in no more (its passwords are others) is most likely let in as little, and will not be in sync. */
const strangeSyncLimitMs = 10_000;

/**
 * Before a running node is stopped: if it owns slots, a replica that is in sync takes them over, without a lost write.
 * @param stillRuns whether the node's process is there; one that lets nobody in can still hand over
 * @returns why it still owns them; undefined if it owns none
 */
export async function handOver(succession: Succession, stillRuns: () => Promise<boolean>): Promise<string | undefined> {
  const { node, peers, limitMs } = succession;
  let problem: string | undefined;
  let askAgainAt = 0;
  const giveUpSyncAt = performance.now() + strangeSyncLimitMs;
  const handover = { asked: false };
  const outcome = await poll(
    limitMs,
    async () => {
      const [own, views] = await Promise.all([lookAtNode(node, node).catch(() => undefined), lookAtAll(node, peers)]);
      if (own === undefined && !(await stillRuns())) return "silent";
      const self = own === undefined ? memberAt(node, views) : ownMember(own);
      if (self === undefined || self.slots === 0) {
        // It takes its successor's data stream now; before it is in sync, it could not take over in its turn.
        return handover.asked && own?.inSync === false ? undefined : "free";
      }
      const replicas = views.filter((view) => ownMember(view).masterId === self.id);
      const successor = replicas.find(({ inSync }) => inSync);
      problem = successor === undefined ? "no replica of it is in sync" : `${nodeName(successor.node)} does not take over`;
      // One that is there but was started just now may be in sync soon.
      if (successor === undefined) return replicas.length === 0 || (own === undefined && performance.now() >= giveUpSyncAt) ? "alone" : undefined;
      handover.asked = true;
      if (performance.now() >= askAgainAt) {
        await withNode({ ...node, ...successor.node }, (call) => call("CLUSTER", "FAILOVER")).catch(() => undefined);
        askAgainAt = performance.now() + failoverLimitMs;
      }
      return undefined;
    },
    lookIntervalMs,
  );
  // A node whose directory was deleted ends by itself when it wants to write down who its master is now.
  if (outcome === "silent") return awaitSuccessor(succession);
  if (outcome !== "free") return problem;
  if (handover.asked) await delay(redirectMs);
  return undefined;
}

/** Whether a running node owns slots; where it does not answer, whether its peers hold it for an owner. */
export async function leads(node: NodeAccess, peers: readonly NodeAddress[]): Promise<boolean> {
  const own = await lookAtNode(node, node).catch(() => undefined);
  const self = own === undefined ? memberAt(node, await lookAtAll(node, peers)) : ownMember(own);
  return self !== undefined && self.slots > 0;
}

/**
 * Before a node that does not run is started: waits until its peers no longer hold it for the owner of slots, as long as
 * Redis can still choose a successor.
 * @returns why nobody has taken over; undefined if there is nothing to take over
 */
export async function awaitSuccessor({ node, peers, limitMs }: Succession): Promise<string | undefined> {
  let problem: string | undefined;
  await poll(
    limitMs,
    async () => {
      const standing = describeStanding(node, await lookAtAll(node, peers));
      problem = standing.problem;
      return standing.final ? true : undefined;
    },
    lookIntervalMs,
  );
  return problem;
}

/** What the living peers, any of them, hold of a node that does not run; `final` where waiting changes nothing. */
export function describeStanding(node: NodeAddress, peers: readonly NodeView[]): { readonly problem: string | undefined; readonly final: boolean } {
  const owners = [...new Map(peers.flatMap(({ members }) => members.filter(({ slots }) => slots > 0)).map((member) => [member.id, member])).values()];
  const former = owners.find(({ address }) => address === nodeName(node));
  if (former === undefined) return { problem: undefined, final: true };
  // Its successor knows that it is one before the others have heard of it.
  const disputed = peers.some(({ members }) => !members.some(({ id, slots }) => id === former.id && slots > 0));
  if (disputed) return { problem: "it owns slots for some of the nodes, and for others a successor does", final: false };
  const replicas = peers.filter((view) => ownMember(view).masterId === former.id);
  if (replicas.length === 0) return { problem: "it owns slots, and no replica of it is there", final: true };
  const living = owners.filter(({ id }) => peers.some((view) => view.id === id));
  // Redis Cluster specification, "Replica election and promotion": by the votes of most masters.
  if (living.length * 2 <= owners.length) return { problem: "it owns slots, and too few masters are there to choose a successor", final: true };
  return { problem: `it owns slots, and none of its replicas has taken over: ${replicas.map((view) => nodeName(view.node)).join(", ")}`, final: false };
}

/** A node as its peers hold it; as an owner of slots, if any of them does. */
export function memberAt(node: NodeAddress, views: readonly NodeView[]): MemberView | undefined {
  const held = views.flatMap(({ members }) => members.filter(({ address }) => address === nodeName(node)));
  return held.find(({ slots }) => slots > 0) ?? held[0];
}

/** What those of its peers say that answer. */
export async function lookAtAll(node: NodeAccess, peers: readonly NodeAddress[]): Promise<NodeView[]> {
  const looks = await Promise.allSettled(peers.map((peer) => lookAtNode(node, peer)));
  return looks.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

/**
 * Looks at a node of the cluster with another one's login.
 * @throws {NodeUnreachableError} it does not answer
 */
export function lookAtNode(node: NodeAccess, { host, port }: NodeAddress): Promise<NodeView> {
  return withNode({ ...node, host, port }, (call) => observeNode({ host, port }, call));
}
