import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderPemBundle } from "../../components/pem-bundle.ts";
import { fullAccessRules, renderUsersAcl } from "../../components/users-acl.ts";
import type { TestProxyTarget } from "./access-proxy.ts";
import { makeLeaf } from "./certificates.ts";
import { Child } from "./child.ts";
import { findFreePorts } from "./free-ports.ts";
import type { HostBehindCable } from "./host-behind-cable.ts";

/** One redis-server with mutual TLS that is no cluster. */
export interface StandaloneServer {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Starts a server with the authorities and passwords of a cluster, each user with full access; it answers soon. `stop` must be called in the end.
 *
 * @param on the host it runs on; this one where none is given
 */
export async function startStandalone({ authorities, passwords }: Pick<TestProxyTarget, "authorities" | "passwords">, on?: HostBehindCable): Promise<StandaloneServer> {
  const host = on?.address ?? "127.0.0.1";
  const [port] = await findFreePorts(1);
  const leaf = await makeLeaf(authorities, "redis", { commonName: host, ipAddresses: [host] });
  const directory = mkdtempSync(join(tmpdir(), "redis-access-standalone-"));
  const at = (file: string): string => join(directory, file);
  const contents = {
    "users.acl": renderUsersAcl(Object.entries(passwords).map(([name, password]) => ({ name, passwords: [password], rules: fullAccessRules }))),
    "server.crt": leaf.certPem,
    "server.key": leaf.keyPem,
    "pem-bundle.cas": renderPemBundle([authorities.redis.certPem], [authorities.db_client.certPem]),
  };
  for (const [file, content] of Object.entries(contents)) writeFileSync(at(file), content, { mode: 0o600 });
  const args = [
    ...["--port", "0", "--tls-port", String(port!), "--bind", host, "--save", "", "--aclfile", at("users.acl")],
    ...["--tls-cert-file", at("server.crt"), "--tls-key-file", at("server.key"), "--tls-ca-cert-file", at("pem-bundle.cas")],
  ];
  const [command, ...rest] = [...(on?.command ?? []), "redis-server", ...args];
  const child = new Child({ command: command!, args: rest, directory, logFile: at("redis.log") });
  return {
    ...{ host, port: port! },
    stop: async () => {
      await child.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
