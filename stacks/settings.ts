import { resolve } from "node:path";
import type { NodeAddress } from "../components/cluster-plan.ts";
import { checkClusterDeclaration, checkPortsDiffer, parseAddress, parseNodeAddress } from "../components/cluster-plan.ts";
import { flag, integer, list, map, oneOf, path, refuseStrangers, text } from "../components/fields.ts";
import type { Field, Parsed } from "../components/fields.ts";
import { InvalidValueError } from "../components/invalid-value-error.ts";
import { checkProxyAddresses, checkProxyName, checkProxyWorkers } from "../components/proxy-config.ts";
import type { ProxyWorkers } from "../components/proxy-config.ts";
import { busPortOffset, checkRedisParameters } from "../components/redis-conf.ts";
import type { RedisParameter } from "../components/redis-conf.ts";
import { parseRotation } from "../components/rotation.ts";
import type { Rotation, RotationKind } from "../components/rotation.ts";
import { checkDeclaredUsers, systemUserRules } from "../components/users-acl.ts";

const parameter: Field<RedisParameter> = (value, property) => {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value) && value.every((item) => typeof item === "string" || typeof item === "number")) return value;
  throw new InvalidValueError(property, "is no text, number, boolean or list of these; expected what redis.conf takes");
};

const databaseName: Field<string> = (value, property) => {
  const name = text(value, property);
  checkProxyName(property, name);
  return name;
};

const proxyWorkers: Field<ProxyWorkers> = (value, property) => {
  const given = text(value, property);
  const workers = given === "auto" ? given : Number(given === "" ? NaN : given);
  if (Number.isNaN(workers)) throw new InvalidValueError(property, `is ${JSON.stringify(given)}; expected auto, or a whole number from 1 to 256`);
  checkProxyWorkers(property, workers);
  return workers;
};

const directory: Field<string> = (value, property) => {
  const given = text(value, property);
  if (!given.startsWith("~")) return given;
  throw new InvalidValueError(property, `${JSON.stringify(given)} starts with ~, which only a shell knows; expected an absolute path, or one from the project`);
};

const largestRevision = 999_999;

const rotation = (kind: RotationKind): Field<Rotation> => (value, property) => parseRotation(property, kind, text(value, property));

const fields = {
  directory,
  nodes: list(parseNode),
  replicasPerMaster: integer(1, 5),
  users: list(text),
  nodeTimeoutMs: integer(100, 600_000),
  tlsAuthClients: oneOf("yes", "optional"),
  redisParameters: map(parameter),
  keepData: flag,
  protectAuthorities: flag,
  proxyListen: parseListener,
  adminListen: parseListener,
  proxyWorkers,
  databaseName,
  auditCommands: oneOf("all", "denied", "none"),
  redisServer: path,
  redisCli: path,
  redisCaRotation: rotation("authority"),
  dbClientCaRotation: rotation("authority"),
  passwordRotations: map(rotation("password")),
  nodeCertificates: integer(1, largestRevision),
  proxyCertificate: integer(1, largestRevision),
  clientCertificate: integer(1, largestRevision),
};

/** What the stack's configuration says, checked; Pulumi.yaml declares each with its default. */
export type Settings = Parsed<typeof fields>;

/**
 * Reads the configuration of a stack.
 *
 * @param config by key without the project's name, as Pulumi hands it over: text as it is, all else as JSON
 * @param place the project's directory, which a relative `directory` starts at, and the stack's name, for its default
 * @throws {InvalidValueError} the first value that cannot work, or a key that nobody reads
 */
export function readSettings(config: Readonly<Record<string, string>>, place: { readonly project: string; readonly stack: string }): Settings {
  refuseStrangers(fields, config);
  const read = Object.entries(fields).map(([name, field]) => [name, field(valueOf(name, config[name]), name)]);
  const settings = Object.fromEntries(read) as Settings;
  checkDeclaredUsers(settings.users.map((name) => ({ name })), (index) => `users[${index}]`);
  checkRotatedUsers(settings);
  checkRedisParameters("redisParameters", settings.redisParameters);
  checkClusterDeclaration(settings);
  checkPortsDiffer(settings.nodes);
  checkListeners(settings);
  return { ...settings, directory: settings.directory === "" ? resolve(place.project, ".redis-access", place.stack) : resolve(place.project, settings.directory) };
}

const textual = new Set(["directory", "tlsAuthClients", "proxyListen", "adminListen", "proxyWorkers", "databaseName", "auditCommands", "redisServer", "redisCli", "redisCaRotation", "dbClientCaRotation"]);

/** Pulumi gives every value as text; a number that was meant as text stays text. */
function valueOf(name: string, value: string | undefined): unknown {
  if (value === undefined) throw new InvalidValueError(name, "has no value; Pulumi.yaml declares its default");
  if (textual.has(name)) return value;
  try {
    return JSON.parse(value);
  } catch {
    // Left for the field to refuse, which knows what would be right.
    return value;
  }
}

function checkRotatedUsers({ users, passwordRotations }: Pick<Settings, "users" | "passwordRotations">): void {
  const known = [...users, ...Object.keys(systemUserRules)];
  const stranger = Object.keys(passwordRotations).find((user) => !known.includes(user));
  if (stranger !== undefined) throw new InvalidValueError(`passwordRotations.${stranger}`, `there is no such user; expected one of ${known.join(", ")}`);
}

function parseNode(value: unknown, property: string): NodeAddress {
  return parseNodeAddress(property, text(value, property));
}

function parseListener(value: unknown, property: string): NodeAddress {
  return parseAddress(property, text(value, property));
}

function checkListeners({ nodes, proxyListen, adminListen }: Pick<Settings, "nodes" | "proxyListen" | "adminListen">): void {
  checkProxyAddresses(proxyListen, adminListen, { listen: "proxyListen", admin: "adminListen" });
  const taken = new Map<number, string>();
  nodes.forEach(({ port }, index) => {
    taken.set(port, `the port of nodes[${index}]`).set(port + busPortOffset, `the cluster bus port of nodes[${index}]`);
  });
  for (const [property, { port }] of [["proxyListen", proxyListen], ["adminListen", adminListen]] as const) {
    const other = taken.get(port);
    if (other !== undefined) throw new InvalidValueError(property, `port ${port} is already ${other}; expected one of its own`);
  }
}
