import { stringify } from "yaml";

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
  readonly databases: readonly ProxyDatabase[];
}

/** `proxy.yaml` as text: keys in the order given, no line folding, every string quoted where YAML would read it as something else. */
export function renderProxyConfig(config: ProxyConfigFile): string {
  // The YAML 1.1 schema's quoting is the stricter one: `no` or `7:30` stays a string for any reader.
  return stringify(config, { lineWidth: 0, version: "1.2", compat: "yaml-1.1" });
}
