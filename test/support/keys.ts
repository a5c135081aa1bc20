import type { NodeAddress } from "../../components/cluster-plan.ts";
import type { TestCluster } from "./redis-cluster.ts";

/** Who owns which slots, as a node says. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly port: number;
}

/** CLUSTER SLOTS of the first living node. */
export async function slotRanges(cluster: TestCluster): Promise<SlotRange[]> {
  const client = cluster.direct(cluster.living()[0]);
  try {
    const reply = (await client.call("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
    return reply.map(([first, last, [, port]]) => ({ first, last, port }));
  } finally {
    client.disconnect();
  }
}

/** For each master the name of a key that it owns; Redis itself says which slot a name has. */
export async function keyOnEachMaster(cluster: TestCluster, prefix: string): Promise<Map<number, string>> {
  const ranges = await slotRanges(cluster);
  const ports = new Set(ranges.map(({ port }) => port));
  const client = cluster.direct(cluster.living()[0]);
  const found = new Map<number, string>();
  try {
    for (let i = 0; found.size < ports.size; i++) {
      const key = `${prefix}${i}`;
      const slot = Number(await client.call("CLUSTER", "KEYSLOT", key));
      const { port } = ranges.find(({ first, last }) => first <= slot && slot <= last)!;
      if (!found.has(port)) found.set(port, key);
    }
  } finally {
    client.disconnect();
  }
  return found;
}

/** Runs one command on each of the nodes, without the proxy; the answers in the order of the nodes. */
export async function onEach(cluster: TestCluster, nodes: readonly NodeAddress[], ...[command, ...args]: [string, ...string[]]): Promise<unknown[]> {
  return Promise.all(
    nodes.map(async (node) => {
      const client = cluster.direct(node);
      try {
        return await client.call(command, ...args);
      } finally {
        client.disconnect();
      }
    }),
  );
}
