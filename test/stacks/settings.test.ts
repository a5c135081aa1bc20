import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { InvalidValueError } from "../../components/invalid-value-error.ts";
import { readSettings } from "../../stacks/settings.ts";
import type { Settings } from "../../stacks/settings.ts";

const place = { project: "/srv/project", stack: "dev" };

interface Declaration {
  readonly type: string;
  readonly default: unknown;
}

const declared = (parse(readFileSync(join(import.meta.dirname, "../../Pulumi.yaml"), "utf8")) as { config: Readonly<Record<string, Declaration>> }).config;

/** As Pulumi hands a value to the program: text as it is, all else as JSON. */
function asPulumiGives(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Reads the declared defaults, with these values in the place of some. */
function settingsWith(changes: Readonly<Record<string, unknown>> = {}): Settings {
  const defaults = Object.fromEntries(Object.entries(declared).map(([key, { default: value }]) => [key, value]));
  return readSettings(Object.fromEntries(Object.entries({ ...defaults, ...changes }).map(([key, value]) => [key, asPulumiGives(value)])), place);
}

const sixNodes = [1, 2, 3, 4, 5, 6].map((last) => `10.0.0.1:700${last}`);
const nodesWith = (index: number, node: unknown): unknown[] => sixNodes.map((each, place) => (place === index ? node : each));

test("the defaults that Pulumi.yaml declares are settings that work, and all that are read are declared", () => {
  const settings = settingsWith();
  assert.deepEqual(Object.keys(settings).sort(), Object.keys(declared).sort());
  assert.equal(settings.directory, "/srv/project/.redis-access/dev");
  assert.deepEqual(settings.nodes.map(({ port }) => port), [7001, 7002, 7003, 7004, 7005, 7006]);
  assert.deepEqual(settings.users, ["alice"]);
});

test("a directory starts at the project, and an absolute one stays as it is", () => {
  assert.equal(settingsWith({ directory: "environments/one" }).directory, "/srv/project/environments/one");
  assert.equal(settingsWith({ directory: "/var/lib/redis-access" }).directory, "/var/lib/redis-access");
});

/** What is refused, and by which words: the key, what is wrong with its value, what would be right. */
const refusals: readonly (readonly [key: string, value: unknown, message: string])[] = [
  // a value of another type
  ["directory", "a\0b", "directory: holds a NUL character; expected text without one"],
  ["nodes", "127.0.0.1:7001", "nodes: is text; expected a list"],
  ["nodes", { first: "127.0.0.1:7001" }, "nodes: is an object; expected a list"],
  ["nodes", nodesWith(1, 7002), "nodes[1]: is a number; expected text"],
  ["replicasPerMaster", "one", 'replicasPerMaster: is "one"; expected a whole number from 1 to 5'],
  ["replicasPerMaster", 1.5, "replicasPerMaster: is 1.5; expected a whole number from 1 to 5"],
  ["users", "alice", "users: is text; expected a list"],
  ["users", [true], "users[0]: is a boolean; expected text"],
  ["nodeTimeoutMs", [], "nodeTimeoutMs: is a list; expected a whole number from 100 to 600000"],
  ["tlsAuthClients", "maybe", 'tlsAuthClients: is "maybe"; expected one of yes, optional'],
  ["tlsAuthClients", "no", 'tlsAuthClients: is "no"; expected one of yes, optional'],
  ["redisParameters", "maxmemory 1mb", "redisParameters: is text; expected names and values"],
  ["redisParameters", ["maxmemory"], "redisParameters: is a list; expected names and values"],
  ["redisParameters", { maxmemory: { mb: 1 } }, "redisParameters.maxmemory: is no text, number, boolean or list of these; expected what redis.conf takes"],
  ["redisParameters", { save: [true] }, "redisParameters.save: is no text, number, boolean or list of these; expected what redis.conf takes"],
  ["keepData", "perhaps", 'keepData: is "perhaps"; expected true or false'],
  ["keepData", 1, "keepData: is 1; expected true or false"],
  ["protectAuthorities", null, "protectAuthorities: is not given; expected true or false"],
  ["proxyWorkers", "many", 'proxyWorkers: is "many"; expected auto, or a whole number from 1 to 256'],
  ["proxyWorkers", "0", "proxyWorkers: is 0; expected auto, or a whole number from 1 to 256"],
  ["auditCommands", "some", 'auditCommands: is "some"; expected one of all, denied, none'],
  ["redisServer", "redis-server", 'redisServer: "redis-server" is not a plain absolute path; expected such as /usr/local/bin/name, without //, . or .. in it'],
  ["redisServer", "/usr/bin/../bin/redis-server", 'redisServer: "/usr/bin/../bin/redis-server" is not a plain absolute path; expected such as /usr/local/bin/name, without //, . or .. in it'],
  ["redisCli", "", 'redisCli: "" is not a plain absolute path; expected such as /usr/local/bin/name, without //, . or .. in it'],

  ["redisCaRotation", "next", 'redisCaRotation: is "next"; expected a phase and a generation, such as "standby 1"; the phases are standby, init, update_clients, update_servers'],
  ["dbClientCaRotation", "init 1", 'dbClientCaRotation: is "init 1", but generation 1 replaces none; expected "standby 1" or "init 2"'],
  ["passwordRotations", "init 2", "passwordRotations: is text; expected names and values"],
  ["passwordRotations", { alice: "update_servers 2" }, 'passwordRotations.alice: is "update_servers 2"; expected a phase and a generation, such as "standby 1"; the phases are standby, init, update_clients'],
  ["passwordRotations", { bob: "init 2" }, "passwordRotations.bob: there is no such user; expected one of alice, replica-user, provisioner, proxy"],
  ["nodeCertificates", 0, "nodeCertificates: is 0; expected a whole number from 1 to 999999"],

  // a number out of its bounds
  ["replicasPerMaster", 0, "replicasPerMaster: is 0; expected a whole number from 1 to 5"],
  ["replicasPerMaster", 6, "replicasPerMaster: is 6; expected a whole number from 1 to 5"],
  ["nodeTimeoutMs", 99, "nodeTimeoutMs: is 99; expected a whole number from 100 to 600000"],
  ["nodeTimeoutMs", 600_001, "nodeTimeoutMs: is 600001; expected a whole number from 100 to 600000"],

  // addresses
  ["nodes", nodesWith(2, "redis-3:7003"), 'nodes[2]: "redis-3" is not an IP address; nodes know each other by IP address, not by name'],
  ["nodes", nodesWith(2, "10.0.0.256:7003"), 'nodes[2]: "10.0.0.256" is not an IP address; nodes know each other by IP address, not by name'],
  ["nodes", nodesWith(2, "10.0.0.0/24:7003"), 'nodes[2]: "10.0.0.0/24" is not an IP address; nodes know each other by IP address, not by name'],
  ["nodes", nodesWith(2, "0.0.0.0:7003"), "nodes[2]: 0.0.0.0 is not the address of one machine; expected the address that the other nodes reach it by"],
  ["nodes", nodesWith(2, "10.0.0.1"), 'nodes[2]: "10.0.0.1" is not an address; expected IP:port, such as 127.0.0.1:7001'],
  ["nodes", nodesWith(2, ""), 'nodes[2]: "" is not an address; expected IP:port, such as 127.0.0.1:7001'],
  ["nodes", nodesWith(2, "10.0.0.1:0"), "nodes[2]: port 0 is out of range; expected 1 to 55535, because the cluster bus listens on port + 10000"],
  ["nodes", nodesWith(2, "10.0.0.1:55536"), "nodes[2]: port 55536 is out of range; expected 1 to 55535, because the cluster bus listens on port + 10000"],
  ["proxyListen", "7379", 'proxyListen: "7379" is not an address; expected IP:port, such as 127.0.0.1:7379'],
  ["proxyListen", "localhost:7379", 'proxyListen: "localhost" is not an IP address; expected IP:port, such as 127.0.0.1:7379'],
  ["proxyListen", "127.0.0.1:65536", "proxyListen: port 65536 is out of range; expected 1 to 65535"],
  ["adminListen", "127.0.0.1:0", "adminListen: port 0 is out of range; expected 1 to 65535"],
  ["adminListen", "0.0.0.0:7390", "adminListen: 0.0.0.0 is not a loopback address; expected such as 127.0.0.1:7390, because whoever reaches it is asked for nothing"],

  // a port or an address twice
  ["nodes", nodesWith(5, "10.0.0.1:7001"), "nodes[5]: port 10.0.0.1:7001 is already the port of nodes[0]; expected one of its own"],
  ["nodes", nodesWith(5, "10.0.0.2:7001"), "nodes[5]: port 7001 is already that of nodes[0]; on one machine each node needs a port of its own"],
  ["nodes", nodesWith(5, "10.0.0.1:17002"), "nodes[1]: cluster bus port 10.0.0.1:17002 is already the port of nodes[5]; expected one of its own"],
  ["proxyListen", "127.0.0.1:7003", "proxyListen: port 7003 is already the port of nodes[2]; expected one of its own"],
  ["proxyListen", "127.0.0.1:17003", "proxyListen: port 17003 is already the cluster bus port of nodes[2]; expected one of its own"],
  ["proxyListen", "127.0.0.1:7390", "adminListen: port 7390 is already the port of proxyListen; expected one of its own"],
  ["adminListen", "127.0.0.1:7001", "adminListen: port 7001 is already the port of nodes[0]; expected one of its own"],

  // nodes that make no cluster
  ["nodes", [], "nodes: 0 nodes are too few; expected at least 6: 3 masters with 1 replica(s) each"],
  ["nodes", sixNodes.slice(0, 5), "nodes: 5 nodes are too few; expected at least 6: 3 masters with 1 replica(s) each"],
  ["nodes", [...sixNodes, "10.0.0.1:7007"], "replicasPerMaster: 1 does not fit 7 nodes; expected a multiple of 2 nodes, such as 6 or 8"],
  ["replicasPerMaster", 2, "nodes: 6 nodes are too few; expected at least 9: 3 masters with 2 replica(s) each"],

  // users
  ["users", [], "users: is empty; expected at least one Redis user, such as alice"],
  ["users", [""], 'users[0]: "" is not a Redis user name; expected printable ASCII without spaces'],
  ["users", ["alice", "bob smith"], 'users[1]: "bob smith" is not a Redis user name; expected printable ASCII without spaces'],
  ["users", ["alice", "bob", "alice"], "users[2]: alice is already users[0]; expected each name once"],
  ["users", ["default"], "users[0]: default is switched off always, so that nobody gets in without a name; expected another name"],
  ["users", ["proxy"], "users[0]: proxy is a user of this toolkit itself; expected another name"],

  // parameters of Redis
  ["redisParameters", { "max memory": "1mb" }, "redisParameters.max memory: is not the name of a redis.conf parameter; expected lower-case letters, digits and hyphens"],
  ["redisParameters", { port: 6379 }, "redisParameters.port: cannot be set: this toolkit decides its value"],
  ["redisParameters", { requirepass: "s3cret" }, "redisParameters.requirepass: cannot be set: with an aclfile Redis accepts it and ignores it; declare a user instead"],
  ["redisParameters", { save: [] }, "redisParameters.save: is an empty list; expected at least one value"],
  ["redisParameters", { maxmemory: "1mb\0" }, "redisParameters.maxmemory: contains a NUL character; expected none"],

  // names
  ["databaseName", "", 'databaseName: "" is not a name; expected 1 to 64 letters, digits, dots, hyphens and underscores'],
  ["databaseName", "orders db", 'databaseName: "orders db" is not a name; expected 1 to 64 letters, digits, dots, hyphens and underscores'],
  ["directory", "~/redis", 'directory: "~/redis" starts with ~, which only a shell knows; expected an absolute path, or one from the project'],

  // keys that nobody reads
  ["replicaPerMaster", 1, `replicaPerMaster: is not known; did you mean replicasPerMaster? expected one of ${Object.keys(declared).join(", ")}`],
  ["proxylisten", "127.0.0.1:7379", `proxylisten: is not known; did you mean proxyListen? expected one of ${Object.keys(declared).join(", ")}`],
  ["password", "s3cret", `password: is not known; expected one of ${Object.keys(declared).join(", ")}`],
];

for (const [key, value, message] of refusals) {
  test(`${key} ${JSON.stringify(value).slice(0, 60)} is refused: ${message.split(";")[0]!.replaceAll("\0", "")}`, () => {
    assert.throws(
      () => settingsWith({ [key]: value }),
      (error) => {
        assert.ok(error instanceof InvalidValueError);
        assert.equal(error.message, message);
        return true;
      },
    );
  });
}

test("a key without value is refused, whichever it is", () => {
  const config = Object.fromEntries(Object.entries(declared).map(([key, { default: value }]) => [key, asPulumiGives(value)]));
  for (const key of Object.keys(declared)) {
    const others = Object.entries(config).filter(([other]) => other !== key);
    assert.throws(() => readSettings(Object.fromEntries(others), place), { message: `${key}: has no value; Pulumi.yaml declares its default` });
  }
});

test("what a number, a list or an object must be stays text where text is declared", () => {
  const settings = settingsWith({ databaseName: "7", directory: "[1]", users: ["7"] });
  assert.deepEqual([settings.databaseName, settings.directory, settings.users], ["7", "/srv/project/[1]", ["7"]]);
});

test("no refusal shows a value that may be a secret in the wrong place", () => {
  for (const changes of [{ password: "s3cret" }, { users: { password: "s3cret" } }, { redisParameters: "s3cret" }, { redisParameters: { requirepass: "s3cret" } }]) {
    assert.throws(() => settingsWith(changes), (error) => error instanceof InvalidValueError && !error.message.includes("s3cret"));
  }
});
