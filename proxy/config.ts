import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import type { Role } from "./access/roles.ts";
import { isLoopback, parseHostPort } from "./config/address.ts";
import type { HostPort } from "./config/address.ts";
import { ConfigError } from "./config/config-error.ts";
import { Field } from "./config/field.ts";
import { readLimits } from "./config/limits.ts";
import type { Limits } from "./config/limits.ts";
import { NAME_FORM, isName, readAddress, readPath } from "./config/read-common.ts";
import { readDatabases } from "./config/read-databases.ts";
import { readRoles } from "./config/read-roles.ts";

export { ConfigError } from "./config/config-error.ts";
export type { HostPort } from "./config/address.ts";
export type { Limits } from "./config/limits.ts";

/** Processes beyond the cores of any machine of today only cost. */
const MOST_WORKERS = 256;

/** What `proxy.yaml` says, checked; every path is absolute. */
export interface ProxyConfig {
  /** Of this proxy: in its logs, and the common name of its ephemeral certificates. */
  readonly name: string;
  /** Of the file; relative paths in it start here. */
  readonly directory: string;
  /** The file itself, absolute, and the SHA-256 of what it held; absent where the text came from elsewhere. */
  readonly source?: { readonly file: string; readonly sha256: string };
  /** Towards clients. Certificates of clients come from `clientCaFile`. */
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile: string };
  /** The authority that signs the ephemeral certificates shown to Redis. */
  readonly dbClient: { readonly caCertFile: string; readonly caKeyFile: string };
  /** Verifies databases that name no authority of their own. */
  readonly dbCaFile?: string;
  /** Of `/healthz`, `/readyz`, `/version`, `/metrics` and `/debug/sessions`; always loopback. */
  readonly admin?: HostPort;
  readonly audit?: AuditConfig;
  readonly limits: Limits;
  /** Processes that serve clients, at least 1; with 1 there is no other process than the proxy itself. @default 1 */
  readonly workers: number;
  /** At least one. */
  readonly roles: readonly Role[];
  /** At least one. */
  readonly databases: readonly DatabaseConfig[];
}

/** Where the audit goes, and what is in it. */
export interface AuditConfig {
  readonly file: string;
  /** Sessions and logins are always written; commands all of them, those that were refused, or none. @default "all" */
  readonly commands: "all" | "denied" | "none";
  /** What happens when events cannot be written: serve no command any more, or go on and count them. @default "stop" */
  readonly onFailure: "stop" | "count";
}

/** One database behind the proxy. */
export interface DatabaseConfig {
  readonly name: string;
  /** Its own listener. Port 0 stands for any free port. */
  readonly listen: HostPort;
  readonly mode: "cluster" | "standalone";
  /** Whether its nodes are spoken to by TLS. */
  readonly tls: boolean;
  /** Nodes to begin with, the one of the URI first; in standalone mode exactly one. */
  readonly seeds: readonly HostPort[];
  /** What roles select databases by. */
  readonly labels: Readonly<Record<string, string>>;
  /** PEM of the authority that its nodes' certificates come from, its own or that of `db`; never absent where `tls` is true. */
  readonly caFile?: string;
  /** The set of commands that clients may use. */
  readonly profile: "guide" | "extended";
  /** Redis user of the proxy itself, for the topology and the command table; without one users' own connections read them. */
  readonly serviceUser?: { readonly name: string; readonly passwordFile: string };
}

/**
 * Reads the proxy's configuration file.
 *
 * @throws {ConfigError} the file cannot be read, or cannot be used
 */
export async function loadConfig(file: string): Promise<ProxyConfig> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new ConfigError([`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`]);
  }
  const source = { file: resolve(file), sha256: createHash("sha256").update(text).digest("hex") };
  return { ...parseConfig(text, dirname(source.file)), source };
}

/**
 * Parses the proxy's configuration. Strict: what it does not know is refused, so that a misspelt key never leaves a default in force.
 *
 * @param directory absolute; relative paths in the text start here
 * @throws {ConfigError} with every fault of the text
 */
export function parseConfig(text: string, directory: string): ProxyConfig {
  return Field.parse(text, (root) => readConfig(root, directory));
}

function readConfig(root: Field, directory: string): ProxyConfig {
  const fields = root.fields("name", "tls", "db_client", "db", "admin", "audit", "limits", "workers", "roles", "databases");
  const path = (field: Field): string => readPath(field, directory);
  const tls = fields.tls.fields("cert_file", "key_file", "client_ca_file");
  const dbClient = fields.db_client.fields("ca_cert_file", "ca_key_file");
  const dbCaFile = fields.db.present ? path(fields.db.fields("ca_cert_file").ca_cert_file) : undefined;
  const admin = fields.admin.present ? readAdmin(fields.admin) : undefined;
  return {
    name: fields.name.text(NAME_FORM, isName),
    directory,
    tls: { certFile: path(tls.cert_file), keyFile: path(tls.key_file), clientCaFile: path(tls.client_ca_file) },
    dbClient: { caCertFile: path(dbClient.ca_cert_file), caKeyFile: path(dbClient.ca_key_file) },
    ...(dbCaFile !== undefined && { dbCaFile }),
    ...(admin !== undefined && { admin }),
    ...(fields.audit.present && { audit: readAudit(fields.audit, directory) }),
    limits: readLimits(fields.limits),
    workers: fields.workers.present ? readWorkers(fields.workers) : 1,
    roles: readRoles(fields.roles),
    databases: readDatabases(fields.databases, { directory, dbCaFile, admin }),
  };
}

function readAdmin(field: Field): HostPort | undefined {
  const { listen } = field.fields("listen");
  return readAddress(listen, "a loopback address, such as 127.0.0.1:7390, because whoever reaches it is asked for nothing", (text) => {
    const address = parseHostPort(text);
    return address !== undefined && isLoopback(address.host);
  });
}

/** `auto` is the number of cores that this process may run on. */
function readWorkers(field: Field): number {
  if (field.is("auto")) return Math.min(availableParallelism(), MOST_WORKERS);
  return field.integer(1, MOST_WORKERS, "auto, or ");
}

function readAudit(field: Field, directory: string): AuditConfig {
  const { file, commands, on_failure: onFailure } = field.fields("file", "commands", "on_failure");
  return {
    file: readPath(file, directory),
    commands: commands.present ? commands.oneOf("all", "denied", "none") : "all",
    onFailure: onFailure.present ? onFailure.oneOf("stop", "count") : "stop",
  };
}
