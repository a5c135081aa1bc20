import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../../support/child.ts";
import { findFreePorts } from "../../support/free-ports.ts";
import { startStandalone } from "../../support/standalone-server.ts";
import { waitFor } from "../../support/wait-for.ts";
import { loadUser, oneDoor, PeerUnavailableError, tlsArguments } from "../peer.ts";
import type { Peer, PeerContext } from "../peer.ts";

const program = "/usr/sbin/haproxy";

/** HAProxy as a relay of bytes, TLS on both sides, one thread. It routes nothing, so one server that is no cluster stands behind it. */
export async function startHaproxy(context: PeerContext): Promise<Peer> {
  install();
  const { directory, files } = context;
  const server = await startStandalone(context.cluster);
  const [port] = await findFreePorts(1);
  const pem = join(directory, "haproxy.pem");
  writeFileSync(pem, readFileSync(files.cert, "utf8") + readFileSync(files.key, "utf8"), { mode: 0o600 });
  const configuration = [
    "global",
    "  nbthread 1",
    "  maxconn 4000",
    "defaults",
    "  mode tcp",
    "  timeout connect 5s",
    "  timeout client 10m",
    "  timeout server 10m",
    "frontend clients",
    `  bind 127.0.0.1:${port!} ssl crt ${pem} ca-file ${files.ca} verify required`,
    "  default_backend redis",
    "backend redis",
    `  server one 127.0.0.1:${server.port} ssl crt ${pem} ca-file ${files.ca} verify required`,
    "",
  ].join("\n");
  const file = join(directory, "haproxy.cfg");
  writeFileSync(file, configuration, { mode: 0o600 });
  const child = new Child({ command: program, args: ["-db", "-f", file], directory, logFile: join(directory, "haproxy.log") });
  await waitFor("haproxy listens", 10_000, () => {
    if (child.end !== undefined) throw new Error(child.log);
    return spawnSync("redis-cli", [...tlsArguments(port!, files), "PING"], { encoding: "utf8" }).stdout.length > 0;
  });
  const connect = [...tlsArguments(port!, files), "--user", loadUser, "-a", context.cluster.passwords[loadUser]!];
  return {
    name: "HAProxy relay",
    connect,
    pid: child.pid,
    clients: oneDoor(port!, files),
    stop: async () => {
      await child.stop();
      await server.stop();
    },
  };
}

function install(): void {
  if (existsSync(program)) return;
  const result = spawnSync("apt-get", ["install", "--yes", "--no-install-recommends", "haproxy"], { encoding: "utf8", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
  if (result.status !== 0 || !existsSync(program)) throw new PeerUnavailableError("HAProxy", "the Debian package haproxy cannot be installed; type: apt-get update && apt-get install haproxy (as root)");
}
