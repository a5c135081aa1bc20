import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ClusterReplyError, parseClusterNodes } from "../cluster-nodes.ts";
import type { NodeAddress } from "../cluster-plan.ts";
import { distinctNodes, nodeName } from "../cluster-plan.ts";
import { isAlone, ownMember } from "../formation-plan.ts";
import type { MemberView, NodeView } from "../formation-plan.ts";
import { ignoreAbsent } from "./atomic-file.ts";
import { readClusterRecord } from "./cluster-record.ts";
import { nodesFile } from "./former-cluster.ts";
import type { ProcessInputs } from "./process-inputs.ts";
import { lookAtAll, lookAtNode, memberAt } from "./succession.ts";

/** A node is not stopped for good, and so its data is not removed: nobody else would have it. */
export class DepartureError extends Error {
  readonly code = "NODE_IN_USE";

  constructor(node: NodeAddress, problem: string, clusterFile: string) {
    super(
      `${nodeName(node)} is neither stopped nor removed: ${problem}. \`pulumi up\` of the whole stack, without options that pick resources (--target, --exclude, --replace), has a node ` +
        `that is declared no longer give all that it holds to others, and restarts one that must be restarted behind a replica. To give up the whole cluster with all its data, destroy the stack; if its state has lost the cluster's formation, remove ${clusterFile} first`,
    );
    this.name = "DepartureError";
  }
}

/**
 * Looks whether a node may go for good. In an update of a whole stack it has given all away by then; one of a part of it, or one
 * that is told to replace the node (`--replace`), would take it from a cluster that lives on it.
 * @throws {DepartureError} it owns slots, or is the only replica of a master that does
 */
export async function checkDeparture({ readyRedis: node, clusterPeers, clusterFile, directory }: ProcessInputs): Promise<void> {
  if (node === undefined || clusterFile === undefined) return;
  const record = await readClusterRecord(clusterFile);
  // Never formed, or given up: whoever destroys all of a stack has removed the formation before its nodes.
  if (record === undefined) return;
  const others = [...clusterPeers, ...record.nodes, ...(record.scaling?.nodes ?? [])].filter((peer) => nodeName(peer) !== nodeName(node));
  const [own, views] = await Promise.all([lookAtNode(node, node).catch(() => undefined), lookAtAll(node, distinctNodes(others))]);
  const problem = describeDependence(node, own, views, await ownRecord(directory));
  if (problem !== undefined) throw new DepartureError(node, problem, clusterFile);
}

/**
 * Why a cluster cannot do without a node; undefined if it can. Pure.
 * @param own what the node says; undefined if it does not answer
 * @param peers what those of the others say that answer
 * @param written what the node's own file says that it was; undefined if there is none
 */
export function describeDependence(node: NodeAddress, own: NodeView | undefined, peers: readonly NodeView[], written: MemberView | undefined): string | undefined {
  if (own === undefined && peers.length === 0) {
    if (written === undefined || (written.slots === 0 && written.isMaster)) return undefined;
    return `no node of its cluster answers, and its data may be the only copy: it last was ${written.slots > 0 ? `the owner of ${count(written.slots)}` : "a replica"}`;
  }
  const self = own === undefined ? memberAt(node, peers) : ownMember(own);
  if (self === undefined || (own !== undefined && isAlone(own) && self.slots === 0)) return undefined;
  if (self.slots > 0) return own === undefined ? `it does not answer, and nobody has taken over the ${count(self.slots)} that it owns` : `it owns ${count(self.slots)} with ${own.keys} keys`;
  if (self.masterId === undefined) return undefined;
  const master = peers.find(({ id }) => id === self.masterId);
  const owned = master === undefined ? Math.max(0, ...peers.flatMap(({ members }) => members.filter(({ id }) => id === self.masterId).map(({ slots }) => slots))) : ownMember(master).slots;
  const others = peers.filter((view) => ownMember(view).masterId === self.masterId && view.inSync);
  // One that does not answer is no help to a master that does.
  if (owned === 0 || others.length > 0 || (own === undefined && master !== undefined)) return undefined;
  return `it is the only replica of ${master === undefined ? "a master that does not answer and" : `${nodeName(master.node)}, which`} owns ${count(owned)}`;
}

function count(slots: number): string {
  return slots === 1 ? "1 slot" : `${slots} slots`;
}

/** What a node has written down about itself (nodes.conf, in the form of CLUSTER NODES). */
async function ownRecord(directory: string): Promise<MemberView | undefined> {
  const text = await readFile(join(directory, nodesFile), "utf8").catch(ignoreAbsent);
  const own = text?.split("\n").find((line) => /^\S+ \S+ myself[, ]/.test(line));
  try {
    return own === undefined ? undefined : parseClusterNodes(own)[0];
  } catch (error) {
    if (error instanceof ClusterReplyError) return undefined;
    throw error;
  }
}
