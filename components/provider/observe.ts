import { ClusterReplyError, parseClusterNodes, parseInfo } from "../cluster-nodes.ts";
import type { NodeAddress } from "../cluster-plan.ts";
import type { NodeView } from "../formation-plan.ts";
import type { NodeCall } from "./node-client.ts";

/**
 * Asks one node what it is and what it knows of the cluster. Read-only.
 * @throws {ClusterReplyError} an answer without the documented form
 */
export async function observeNode(node: NodeAddress, call: NodeCall): Promise<NodeView> {
  const ask = async (...words: [string, ...string[]]): Promise<string> => {
    const reply = await call(...words);
    if (typeof reply !== "string") throw new ClusterReplyError(words.join(" "), `expected text from ${node.host}:${node.port}`);
    return reply;
  };
  const id = (await ask("CLUSTER", "MYID")).trim();
  const members = parseClusterNodes(await ask("CLUSTER", "NODES"));
  if (!members.some((member) => member.id === id)) throw new ClusterReplyError("CLUSTER NODES", `${node.host}:${node.port} does not name itself`);
  const keys = await call("DBSIZE");
  if (typeof keys !== "number") throw new ClusterReplyError("DBSIZE", `expected a number from ${node.host}:${node.port}`);
  const cluster = parseInfo(await ask("CLUSTER", "INFO"));
  const replication = parseInfo(await ask("INFO", "replication"));
  return {
    node,
    id,
    keys,
    members,
    clusterOk: cluster.get("cluster_state") === "ok",
    inSync: replication.get("role") !== "slave" || (replication.get("master_link_status") === "up" && replication.get("master_sync_in_progress") === "0"),
  };
}

/** Bytes that a replica has got of its master's data while it copies that, and bytes that a node has read of what it loads; 0 for any other. Read-only. */
export async function readCopied(call: NodeCall): Promise<number> {
  const [replication, persistence] = [parseInfo(String(await call("INFO", "replication"))), parseInfo(String(await call("INFO", "persistence")))];
  return Number(replication.get("master_sync_read_bytes") ?? 0) + Number(persistence.get("loading_loaded_bytes") ?? 0);
}
