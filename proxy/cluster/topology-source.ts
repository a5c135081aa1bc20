import type { Address, ClusterNode, Topology } from "../routing/topology.ts";
import { addressKey, mergeViews, parseClusterNodes } from "../routing/topology.ts";
import { ReplyError } from "../resp/reply-decoder.ts";
import { askValue } from "./question.ts";
import type { UserConnections } from "./user-connections.ts";

/** How long one node may take to say what it knows. */
const ANSWER_MS = 2_000;
/** How long the others are waited for once the first has answered and a majority is still missing. */
const MAJORITY_MS = 500;
/**
 * And once a majority has answered: after a failover it is the others that say what is new, if only the two nodes that have changed
 * places, while those that have yet to hear of it answer sooner.
 */
const LATE_MS = 50;

/** Nobody could be asked; `message` says why, for each node. */
export class NoTopologyError extends Error {
  readonly code = "NO_TOPOLOGY";

  constructor(reasons: readonly string[]) {
    super(`no node of the cluster says who owns its slots (${reasons.join("; ")})`);
    this.name = "NoTopologyError";
  }
}

/** What a round of questions brought: the merged topology, and every node that was named in it. */
export interface Survey {
  readonly topology: Topology;
  readonly nodes: readonly Address[];
  /** All names that a redirection may call them by, as `addressKey` writes them. */
  readonly names: ReadonlySet<string>;
}

/**
 * Asks the nodes at `addresses` side by side for CLUSTER NODES, until all have answered, or a majority and those that soon do.
 *
 * @param guests those known so far
 * @throws NoTopologyError where not one gave a view with slots in it
 */
export async function survey(connections: UserConnections, addresses: readonly Address[], guests: readonly Address[]): Promise<Survey> {
  const views: ClusterNode[][] = [];
  const reasons: string[] = [];
  await new Promise<void>((resolve) => {
    let open = addresses.length;
    let timer: NodeJS.Timeout | undefined;
    let waitMs = Infinity;
    const settle = (): void => {
      open--;
      const limitMs = views.length * 2 > addresses.length ? LATE_MS : views.length > 0 ? MAJORITY_MS : Infinity;
      if (open > 0 && limitMs >= waitMs) return;
      clearTimeout(timer);
      waitMs = limitMs;
      if (open === 0) resolve();
      else timer = setTimeout(resolve, limitMs);
    };
    for (const address of addresses) {
      view(connections, address).then((nodes) => views.push(nodes), (error: unknown) => {
        reasons.push(error instanceof Error ? error.message : String(error));
      }).finally(settle);
    }
    if (open === 0) resolve();
  });
  const topology = mergeViews(views, guests);
  if (topology.masters.length === 0) throw new NoTopologyError(reasons.length > 0 ? reasons : ["no node owns a slot"]);
  return { topology, nodes: knownNodes(views), names: namesOf(views) };
}

async function view(connections: UserConnections, address: Address): Promise<ClusterNode[]> {
  const connection = connections.to(address);
  if (connection === undefined) throw connections.obstacleTo(address);
  const reply = await askValue(connection, ["CLUSTER", "NODES"], ANSWER_MS);
  if (reply instanceof ReplyError) throw new Error(`${addressKey(address)}: CLUSTER NODES: ${reply.message}`);
  return parseClusterNodes(String(reply), address.host);
}

function knownNodes(views: readonly ClusterNode[][]): Address[] {
  const known = new Map<string, Address>();
  for (const node of views.flat()) {
    if (node.flags.has("noaddr") || node.flags.has("handshake")) continue;
    known.set(addressKey(node), { host: node.host, port: node.port });
  }
  return [...known.values()];
}

function namesOf(views: readonly ClusterNode[][]): Set<string> {
  const names = new Set<string>();
  for (const { host, hostname, port } of views.flat()) {
    names.add(addressKey({ host, port }));
    if (hostname !== undefined) names.add(addressKey({ host: hostname, port }));
  }
  return names;
}
