import { slotOf } from "../../../proxy/routing/slot.ts";
import { slotRanges } from "../../support/keys.ts";
import { loadUser, tlsArguments } from "../peer.ts";
import type { Peer, PeerContext } from "../peer.ts";

/** No proxy: the load speaks to the masters itself, as a cluster client. */
export async function startDirect({ cluster, files }: PeerContext): Promise<Peer> {
  const connect = [...tlsArguments(cluster.nodes[0]!.port, files), "--cluster", "--user", loadUser, "-a", cluster.passwords[loadUser]!];
  const ranges = await slotRanges(cluster);
  const portOf = (key: string): number => {
    const slot = slotOf(Buffer.from(key), 0, key.length);
    return ranges.find(({ first, last }) => first <= slot && slot <= last)!.port;
  };
  return { name: "direct", connect, pid: undefined, clients: { ports: [...new Set(ranges.map(({ port }) => port))], portOf, files }, stop: () => Promise.resolve() };
}
