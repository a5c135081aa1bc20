import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ClusterReplyError, parseClusterNodes } from "../cluster-nodes.ts";
import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import type { MemberView } from "../formation-plan.ts";
import { ignoreAbsent } from "./atomic-file.ts";

/** Where a node keeps its id and its peers, in its data directory (`cluster-config-file`). */
export const nodesFile = "nodes.conf";

/** Whether a node that works in this directory has been in a cluster. */
export async function hasClusterState(directory: string): Promise<boolean> {
  return access(join(directory, nodesFile)).then(
    () => true,
    () => false,
  );
}

/**
 * Why a node must not be started on the data in a directory; undefined if it may. A node that was in another cluster looks
 * for that cluster's nodes as soon as it runs, and they may be alive.
 * @param nodes all that are declared
 */
export async function describeFormerCluster(directory: string, nodes: readonly NodeAddress[]): Promise<string | undefined> {
  const text = await readFile(join(directory, nodesFile), "utf8").catch(ignoreAbsent);
  const declared = new Set(nodes.map(nodeName));
  const strangers = othersIn(text ?? "").map(({ address }) => address).filter((address) => address !== "" && !declared.has(address));
  if (strangers.length === 0) return undefined;
  return `${directory} holds the data of a node in a cluster with ${strangers.join(", ")}, which the declaration does not name; declare the nodes of that cluster, or move the data away`;
}

/** The other members of its cluster that a node has written down. Redis itself refuses to start with a file that cannot be read. */
function othersIn(text: string): readonly MemberView[] {
  // A node that never joined a cluster does not know its own address.
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("vars ") && !/^\S+ \S+ myself[, ]/.test(line));
  try {
    return lines.length === 0 ? [] : parseClusterNodes(lines.join("\n"));
  } catch (error) {
    if (error instanceof ClusterReplyError) return [];
    throw error;
  }
}
