import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderUsersAcl } from "../../../components/users-acl.ts";
import { Child } from "../../support/child.ts";
import { findFreePorts } from "../../support/free-ports.ts";
import { loadUser } from "../peer.ts";
import type { PeerContext } from "../peer.ts";

/** One redis-server with mutual TLS that is no cluster, for peers that cannot route. */
export async function startStandalone({ cluster, directory, files }: PeerContext): Promise<{ port: number; stop(): Promise<void> }> {
  const [port] = await findFreePorts(1);
  const home = join(directory, "standalone");
  mkdirSync(home);
  const acl = join(home, "users.acl");
  writeFileSync(acl, renderUsersAcl([{ name: loadUser, passwords: [cluster.passwords[loadUser]!], rules: ["allcommands", "allkeys", "allchannels"] }]), { mode: 0o600 });
  const args = [
    ...["--port", "0", "--tls-port", String(port!), "--bind", "127.0.0.1", "--save", "", "--aclfile", acl],
    ...["--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", files.ca],
  ];
  const child = new Child({ command: "redis-server", args, directory: home, logFile: join(home, "log") });
  return { port: port!, stop: () => child.stop() };
}
