import { InvalidValueError } from "./invalid-value-error.ts";

/** The value of an additional `redis.conf` parameter; a list is written as several arguments of one line. */
export type RedisParameter = string | number | boolean | readonly (string | number)[];

/** What one node's `redis.conf` follows from. All paths are absolute, so that the file means the same wherever it is read. */
export interface RedisConf {
  /** IP address the node listens on and announces to its peers. */
  readonly host: string;
  /** TLS port, 1..55535; the cluster bus takes this port + 10000. There is no plain port. */
  readonly port: number;
  /** Where the node keeps `nodes.conf` and its data files. */
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly aclFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** `pem-bundle.cas`: the Redis CA, then the db_client CA. */
  readonly caFile: string;
  /** Redis user that replicas log in as at their master. */
  readonly masterUser: string;
  /** Password of `masterUser`; makes the whole text a secret. */
  readonly masterPassword: string;
  /** `yes` (the default) requires a certificate of every client, `optional` accepts clients without one. */
  readonly tlsAuthClients?: "yes" | "optional" | undefined;
  /** Milliseconds after which a silent node counts as failed. Default 5000. */
  readonly nodeTimeoutMs?: number | undefined;
  /** Additional parameters by name. Those that say what a node is, and those that would open another door, are refused. */
  readonly parameters?: Readonly<Record<string, RedisParameter>> | undefined;
}

/** Default of `nodeTimeoutMs`: with it a failover takes some seconds, and a short stall does not cause one. */
export const defaultNodeTimeoutMs = 5000;

/** Parameters whose default here is another than Redis's own; whoever declares one goes before it. */
const defaults: Readonly<Record<string, RedisParameter>> = {
  // Replicas that come together, as at the formation, come within a second. With Redis's five, every master stays without a
  // replica in sync for so long, and every update that makes or mends one waits for it.
  "repl-diskless-sync-delay": 1,
};

/** Distance from a node's TLS port to its cluster bus port (Redis Cluster specification, "Cluster bus"). */
export const busPortOffset = 10_000;

/** Parameters a user may not set, each with the reason given to them. */
const refused: Readonly<Record<string, string>> = {
  include: "an included file is not seen by the drift check; write its parameters here",
  user: "Redis users belong to users.acl",
  requirepass: "with an aclfile Redis accepts it and ignores it; declare a user instead",
  replicaof: "the cluster decides who replicates whom",
  slaveof: "the cluster decides who replicates whom",
  "rename-command": "cluster creation, replication and the proxy need Redis's own command names",
  unixsocket: "every client comes over TLS",
  "tls-ca-cert-dir": "nodes trust pem-bundle.cas and nothing else",
  "tls-client-cert-file": "a node is server and client with one certificate",
  "tls-client-key-file": "a node is server and client with one certificate",
  "tls-key-file-pass": "node keys are protected by file mode 0600",
  "cluster-port": "the cluster bus is the TLS port + 10000",
  "cluster-announce-port": "nodes announce the port they listen on",
  "cluster-announce-tls-port": "nodes announce the port they listen on",
  "cluster-announce-bus-port": "nodes announce the port they listen on",
  masterauth: "the replication user's password is generated",
  pidfile: "the process is managed by this toolkit",
  supervised: "the process is managed by this toolkit",
};

const parameterName = /^[a-z][a-z0-9-]*$/;
const plainArgument = /^[A-Za-z0-9_./:@%+-]+$/;

/**
 * The `redis.conf` of one cluster node, as text.
 * @throws {InvalidValueError} a parameter's name or value that cannot stand in the file, or that this toolkit decides itself
 */
export function renderRedisConf(conf: RedisConf): string {
  return renderLines(ownParameters(conf)) + renderParameters({ ...defaults, ...conf.parameters });
}

/**
 * The lines of additional parameters alone, in the order of their names.
 * @throws {InvalidValueError} as `renderRedisConf`
 */
export function renderParameters(parameters: Readonly<Record<string, RedisParameter>>, property = "parameters"): string {
  return renderLines(additionalParameters(property, parameters));
}

/**
 * Checks additional parameters before anything is made; whether Redis takes a value is for Redis to say.
 * @param property that holds them, for the error
 * @throws {InvalidValueError} as `renderRedisConf`
 */
export function checkRedisParameters(property: string, parameters: Readonly<Record<string, RedisParameter>>): void {
  renderParameters(parameters, property);
}

function additionalParameters(property: string, parameters: Readonly<Record<string, RedisParameter>>): Line[] {
  const lines = Object.entries(parameters).map(([name, value]): Line => {
    checkParameterName(property, name);
    return [name, ...parameterArguments(property, name, value).map((argument) => quoteArgument(`${property}.${name}`, argument))];
  });
  return lines.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Its arguments are quoted where they must be. */
type Line = readonly [name: string, ...args: string[]];

function ownParameters(conf: RedisConf): Line[] {
  const lines: [name: string, value: string][] = [
    ["bind", conf.host],
    // Stands in reserve: if the aclfile ever opened the user `default`, only loopback would get in.
    ["protected-mode", "yes"],
    ["port", "0"],
    ["tls-port", String(conf.port)],
    ["tls-cert-file", conf.certFile],
    ["tls-key-file", conf.keyFile],
    ["tls-ca-cert-file", conf.caFile],
    ["tls-auth-clients", conf.tlsAuthClients ?? "yes"],
    ["tls-protocols", "TLSv1.2 TLSv1.3"],
    ["tls-replication", "yes"],
    ["tls-cluster", "yes"],
    ["cluster-enabled", "yes"],
    ["cluster-config-file", "nodes.conf"],
    ["cluster-node-timeout", String(conf.nodeTimeoutMs ?? defaultNodeTimeoutMs)],
    // Otherwise a node learns its address from the first MEET, and a wrong one spreads through the cluster.
    ["cluster-announce-ip", conf.host],
    ["aclfile", conf.aclFile],
    ["masteruser", conf.masterUser],
    ["masterauth", conf.masterPassword],
    ["dir", conf.dataDirectory],
    ["logfile", conf.logFile],
    // The process is supervised by whoever started it; a second fork would hide it.
    ["daemonize", "no"],
  ];
  return lines.map(([name, value]) => [name, quoteArgument(name, value)]);
}

/** Names of the parameters that this toolkit decides itself: what a node is, not how it is tuned. */
export const ownNames: ReadonlySet<string> = new Set(
  ownParameters({
    ...{ host: "", port: 0, dataDirectory: "", logFile: "", aclFile: "", certFile: "", keyFile: "", caFile: "" },
    ...{ masterUser: "", masterPassword: "" },
  }).map(([name]) => name),
);

function checkParameterName(group: string, name: string): void {
  const property = `${group}.${printable(name)}`;
  if (!parameterName.test(name)) {
    throw new InvalidValueError(property, "is not the name of a redis.conf parameter; expected lower-case letters, digits and hyphens");
  }
  if (Object.hasOwn(refused, name)) throw new InvalidValueError(property, `cannot be set: ${refused[name]}`);
  if (ownNames.has(name)) throw new InvalidValueError(property, "cannot be set: this toolkit decides its value");
}

/** Whether a parameter is declared as `yes`, in any of the ways in which it can be. */
export function isSwitchedOn(value: RedisParameter | undefined): boolean {
  return value === true || (value !== undefined && String(value).toLowerCase() === "yes");
}

function parameterArguments(group: string, name: string, value: RedisParameter): string[] {
  const property = `${group}.${name}`;
  if (typeof value === "boolean") return [value ? "yes" : "no"];
  const values = typeof value === "object" ? [...value] : [value];
  if (values.length === 0) throw new InvalidValueError(property, "is an empty list; expected at least one value");
  return values.map((item) => {
    if (typeof item === "number" && !Number.isFinite(item)) throw new InvalidValueError(property, `is ${item}; expected a finite number`);
    return String(item);
  });
}

function renderLines(lines: readonly Line[]): string {
  return lines.map((line) => `${line.join(" ")}\n`).join("");
}

/**
 * One argument of a `redis.conf` line, quoted where it must be.
 * The escapes are those of `sdssplitargs` (redis src/sds.c); the file is cut into lines before they are read,
 * so a value that holds a line break can only stand in it escaped.
 * @throws {InvalidValueError} a NUL, at which Redis would cut the value
 */
export function quoteArgument(property: string, text: string): string {
  if (text.includes("\0")) throw new InvalidValueError(property, "contains a NUL character; expected none");
  if (plainArgument.test(text)) return text;
  return `"${text.replace(/["\\\x00-\x1f\x7f]/g, escapeCharacter)}"`;
}

/**
 * Reads a text of {@link renderRedisConf} back: each line's name and arguments. It is no reader of what people write by hand.
 */
export function parseRedisConf(text: string): (readonly [name: string, ...args: string[]])[] {
  return text.split("\n").flatMap((line): (readonly [string, ...string[]])[] => {
    const [name, ...args] = line.match(/"(?:[^"\\]|\\.)*"|[^ ]+/g) ?? [];
    return name === undefined ? [] : [[name, ...args.map(unquoteArgument)]];
  });
}

function unquoteArgument(argument: string): string {
  if (!argument.startsWith('"')) return argument;
  return argument.slice(1, -1).replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, code: string | undefined, character: string) => (code === undefined ? character : String.fromCharCode(Number.parseInt(code, 16))));
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

function printable(name: string): string {
  return JSON.stringify(name).slice(1, -1);
}
