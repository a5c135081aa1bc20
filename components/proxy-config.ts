import { isIP } from "node:net";
import { stringify } from "yaml";
import type { NodeAddress } from "./cluster-plan.ts";
import { InvalidValueError } from "./invalid-value-error.ts";

/** One database of the access proxy, in the words of its configuration file. */
export interface ProxyDatabase {
  readonly name: string;
  readonly protocol: "redis";
  /** `rediss://host:port`, with `?mode=cluster` for a cluster. */
  readonly uri: string;
  /** Further seeds, `IP:port`, so that one dead seed does not matter. */
  readonly nodes?: readonly string[];
  readonly static_labels?: Readonly<Record<string, string>>;
  readonly tls?: { readonly ca_cert_file: string };
  /** `IP:port` of this database's own listener. */
  readonly listen: string;
  readonly profile?: "guide" | "extended";
  /** Redis user that reads the topology and the command table. */
  readonly service_user?: { readonly name: string; readonly password_file: string };
}

/** The access proxy's configuration file; paths are relative to it. */
export interface ProxyConfigFile {
  /** Of this proxy: in its logs, and the common name of its ephemeral client certificates. */
  readonly name: string;
  readonly tls: { readonly cert_file: string; readonly key_file: string; readonly client_ca_file: string };
  readonly db_client: { readonly ca_cert_file: string; readonly ca_key_file: string };
  readonly db?: { readonly ca_cert_file: string };
  readonly admin?: { readonly listen: string };
  readonly audit?: { readonly file: string; readonly commands: "all" | "denied" | "none" };
  /** Processes that serve clients; absent means one. */
  readonly workers?: ProxyWorkers;
  readonly databases: readonly ProxyDatabase[];
}

/** How many processes serve an access proxy's clients: a number from 1 to 256, or `auto` for the cores that it may run on. */
export type ProxyWorkers = number | "auto";

const mostWorkers = 256;

/**
 * Checks a number of workers. The proxy refuses others itself, but only when it is started.
 * @throws {InvalidValueError}
 */
export function checkProxyWorkers(property: string, workers: ProxyWorkers): void {
  if (workers === "auto" || (Number.isInteger(workers) && workers >= 1 && workers <= mostWorkers)) return;
  throw new InvalidValueError(property, `is ${JSON.stringify(workers)}; expected auto, or a whole number from 1 to ${mostWorkers}`);
}

/** `proxy.yaml` as text: keys in the order given, no line folding, every string quoted where YAML would read it as something else. */
export function renderProxyConfig(config: ProxyConfigFile): string {
  // The YAML 1.1 schema's quoting is the stricter one: `no` or `7:30` stays a string for any reader.
  return stringify(config, { lineWidth: 0, version: "1.2", compat: "yaml-1.1" });
}

/**
 * Checks the name of a proxy or a database: it stands in logs, in labels of metrics and in the common name of a certificate.
 * The proxy refuses others itself, but only when it is started.
 * @throws {InvalidValueError}
 */
export function checkProxyName(property: string, name: string): void {
  if (/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/.test(name)) return;
  throw new InvalidValueError(property, `${JSON.stringify(name)} is not a name; expected 1 to 64 letters, digits, dots, hyphens and underscores`);
}

/**
 * Checks where a proxy is to listen: for clients, and for whoever watches it.
 * @param names of the options, for the error
 * @throws {InvalidValueError} no IP address, a port out of range or twice, an admin address that other machines reach
 */
export function checkProxyAddresses(listen: NodeAddress, admin: NodeAddress, names: { readonly listen: string; readonly admin: string }): void {
  for (const [property, { host, port }] of [[names.listen, listen], [names.admin, admin]] as const) {
    if (isIP(host) === 0) throw new InvalidValueError(property, `${JSON.stringify(host)} is not an IP address; expected such as 127.0.0.1`);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new InvalidValueError(property, `port ${port} is out of range; expected 1 to 65535`);
  }
  if (!/^(127\.|::1$)/.test(admin.host)) {
    throw new InvalidValueError(names.admin, `${admin.host} is not a loopback address; expected such as 127.0.0.1:7390, because whoever reaches it is asked for nothing`);
  }
  if (listen.port === admin.port) throw new InvalidValueError(names.admin, `port ${admin.port} is already the port of ${names.listen}; expected one of its own`);
}
