import { loadUser, tlsArguments } from "../peer.ts";
import type { Peer, PeerContext } from "../peer.ts";

/** No proxy: redis-benchmark speaks to the masters itself, as a cluster client. */
export function startDirect({ cluster, files }: PeerContext): Promise<Peer> {
  const connect = [...tlsArguments(cluster.nodes[0]!.port, files), "--cluster", "--user", loadUser, "-a", cluster.passwords[loadUser]!];
  return Promise.resolve({ name: "direct", connect, pid: undefined, stop: () => Promise.resolve() });
}
