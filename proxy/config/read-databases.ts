import type { DatabaseConfig } from "../config.ts";
import { collide, formatHostPort, parseDatabaseUri } from "./address.ts";
import type { DatabaseUri, HostPort } from "./address.ts";
import type { Field } from "./field.ts";
import { isName, NAME_FORM, readAddress, readPath } from "./read-common.ts";

const URI_FORM = "a URI of the form rediss://host:port?mode=cluster";
/** Stands where an address was reported as wrong; the configuration is never handed on with it. */
const NO_ADDRESS: HostPort = { host: "", port: 0 };

/** What databases are checked against. */
export interface Surroundings {
  readonly directory: string;
  readonly dbCaFile: string | undefined;
  readonly admin: HostPort | undefined;
}

/** Reads `databases`: at least one, no two with one name, no two listeners that collide. */
export function readDatabases(field: Field, around: Surroundings): DatabaseConfig[] {
  const names = new Map<string, number>();
  const taken: [HostPort, string][] = around.admin === undefined ? [] : [[around.admin, "admin.listen"]];
  return field.items("a list of at least one database").map((item, index) => {
    const fields = item.fields("name", "protocol", "uri", "nodes", "static_labels", "tls", "listen", "profile", "service_user");
    const name = fields.name.text(NAME_FORM, isName);
    if (names.has(name)) fields.name.fail(`is ${JSON.stringify(name)}, the name of databases[${names.get(name)!}]; expected one of its own`);
    else if (name !== "") names.set(name, index);
    const listen = readAddress(fields.listen) ?? NO_ADDRESS;
    const other = taken.find(([address]) => collide(address, listen));
    if (other !== undefined) fields.listen.fail(`is ${formatHostPort(listen)}, taken by ${other[1]} (${formatHostPort(other[0])}); expected an address of its own`);
    taken.push([listen, `databases[${index}].listen`]);
    return readDatabase(fields, name, listen, around);
  });
}

type DatabaseFields = Readonly<Record<"protocol" | "uri" | "nodes" | "static_labels" | "tls" | "profile" | "service_user", Field>>;

function readDatabase(fields: DatabaseFields, name: string, listen: HostPort, { directory, dbCaFile }: Surroundings): DatabaseConfig {
  fields.protocol.oneOf("redis");
  const uri = readUri(fields.uri);
  const caFile = readAuthority(fields.tls, uri, { directory, dbCaFile });
  const serviceUser = fields.service_user.present ? readServiceUser(fields.service_user, directory) : undefined;
  return {
    name,
    listen,
    mode: uri?.mode ?? "cluster",
    tls: uri?.tls ?? true,
    seeds: uri === undefined ? [] : [{ host: uri.host, port: uri.port }, ...readNodes(fields.nodes, uri)],
    labels: readLabels(fields.static_labels),
    ...(caFile !== undefined && { caFile }),
    profile: readProfile(fields.profile),
    ...(serviceUser !== undefined && { serviceUser }),
  };
}

function readUri(field: Field): DatabaseUri | undefined {
  const text = field.text(URI_FORM);
  if (text === "") return undefined;
  const uri = parseDatabaseUri(text);
  if (!("problem" in uri)) return uri;
  field.fail(uri.problem);
  return undefined;
}

function readAuthority(field: Field, uri: DatabaseUri | undefined, { directory, dbCaFile }: Omit<Surroundings, "admin">): string | undefined {
  const own = field.present ? readPath(field.fields("ca_cert_file").ca_cert_file, directory) : undefined;
  if (uri?.tls === false) {
    if (own !== undefined) field.fail("names an authority, but the uri is redis://, without TLS; expected rediss:// or no tls");
    return undefined;
  }
  const caFile = own ?? dbCaFile;
  if (uri !== undefined && caFile === undefined) {
    field.fail("is missing; expected ca_cert_file, or db.ca_cert_file for all databases: without either no node can be verified");
  }
  return caFile;
}

/** Further seeds: those of the list that are not named already. */
function readNodes(field: Field, uri: DatabaseUri): HostPort[] {
  if (!field.present) return [];
  if (uri.mode !== "cluster") field.fail("is for clusters; expected mode=cluster in the uri, or no nodes");
  const known = new Set([formatHostPort(uri)]);
  return field.items("a list of addresses, such as 127.0.0.1:7002").flatMap((item) => {
    const node = readAddress(item);
    if (node === undefined || known.has(formatHostPort(node))) return [];
    known.add(formatHostPort(node));
    return [node];
  });
}

function readLabels(field: Field): Record<string, string> {
  if (!field.present) return {};
  return Object.fromEntries(field.entries("a map of labels, such as { env: dev }").map(([name, value]) => [name, value.text("a text")]));
}

function readServiceUser(field: Field, directory: string): { name: string; passwordFile: string } {
  const { name, password_file: passwordFile } = field.fields("name", "password_file");
  return { name: name.text("the name of a Redis user", (text) => /^[!-~]+$/.test(text)), passwordFile: readPath(passwordFile, directory) };
}

function readProfile(field: Field): "guide" {
  if (field.present && field.oneOf("guide", "extended") === "extended") field.fail('is "extended", which is not offered yet; expected guide');
  return "guide";
}
