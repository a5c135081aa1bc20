import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestProxy } from "../../support/access-proxy.ts";
import type { TestProxyOptions } from "../../support/access-proxy.ts";
import { loadUser, oneDoor, tlsArguments } from "../peer.ts";
import type { Peer, PeerContext } from "../peer.ts";

/** This project's access proxy, one worker, as the stack runs it: every command in the audit. */
export async function startRedisAccess({ cluster, directory }: PeerContext, name = "redis-access", options: TestProxyOptions = {}): Promise<Peer> {
  const proxy = await TestProxy.start(cluster, options);
  const at = (file: string): string => join(directory, `${name}-${file}`);
  const contents = { "ca.crt": cluster.authorities.proxy.certPem, "user.crt": proxy.certificate.certPem, "user.key": proxy.certificate.keyPem };
  for (const [file, content] of Object.entries(contents)) writeFileSync(at(file), content, { mode: 0o600 });
  const own = { ca: at("ca.crt"), cert: at("user.crt"), key: at("user.key") };
  const connect = [...tlsArguments(proxy.port, own), "--user", loadUser, "-a", cluster.passwords[loadUser]!];
  return { name, connect, pid: proxy.child.pid, clients: oneDoor(proxy.port, own), stop: () => proxy.stop() };
}

/** The same with two workers. */
export function startTwoWorkers(context: PeerContext): Promise<Peer> {
  return startRedisAccess(context, "redis-access, 2 workers", { config: { workers: 2 } });
}
