import { createHash } from "node:crypto";
import { InvalidValueError } from "./invalid-value-error.ts";

/** One Redis user as `users.acl` declares it. */
export interface AclUser {
  readonly name: string;
  /** Passwords in clear; only their SHA-256 is written. Two at a time let a password be replaced without a gap. */
  readonly passwords: readonly string[];
  /** ACL rules in Redis's own syntax. A user starts from nothing: no command, no key, no channel. */
  readonly rules: readonly string[];
}

/** A rule of a system user, and why it is needed. */
export interface ReasonedRule {
  readonly rule: string;
  readonly why: string;
}

/** Names of the users that this toolkit itself logs in as. */
export type SystemUserName = "replica-user" | "provisioner" | "proxy";

/** Rules of the user that people and applications log in as: everything, as far as the proxy's roles let them. */
export const fullAccessRules: readonly string[] = ["allcommands", "allkeys", "allchannels"];

/** Least privilege for each system user: a rule stands here only with the reason it is needed for. */
export const systemUserRules: Readonly<Record<SystemUserName, readonly ReasonedRule[]>> = {
  "replica-user": [
    { rule: "+psync", why: "a replica asks its master for the data stream" },
    { rule: "+replconf", why: "a replica tells its port and capabilities, and acknowledges its offset" },
    { rule: "+ping", why: "a replica checks the link before the handshake" },
  ],
  provisioner: [
    { rule: "+ping", why: "readiness of a node before it joins" },
    { rule: "+info", why: "redis-cli --cluster create refuses nodes that hold keys; replication state after forming" },
    { rule: "+dbsize", why: "no node with data is ever reset" },
    { rule: "+cluster|info", why: "cluster_state, and whether a node is still alone" },
    { rule: "+cluster|nodes", why: "members, roles and slots: planning and drift" },
    { rule: "+cluster|myid", why: "the node ids in the stack's outputs" },
    { rule: "+cluster|addslots", why: "redis-cli --cluster create gives each master its slots" },
    { rule: "+cluster|set-config-epoch", why: "redis-cli --cluster create gives each node an epoch of its own" },
    { rule: "+cluster|meet", why: "nodes are introduced to each other, at creation and after the loss of a node" },
    { rule: "+cluster|replicate", why: "replicas are assigned, at creation and after the loss of a node" },
    { rule: "+cluster|failover", why: "a replica takes over before its master is restarted, and from one that lost its data: Redis does not see to that by itself" },
    { rule: "+cluster|forget", why: "the former id of a node that lost its data is removed" },
    { rule: "+config|get", why: "drift: every parameter of a running node" },
    { rule: "+config|set", why: "a parameter or certificate that was changed in a running node is put right without a restart" },
    { rule: "+acl|list", why: "drift: the users of a running node, rule by rule" },
    { rule: "+acl|setuser", why: "a user that was changed in a running node is put right; ACL LOAD would drop every client, replicas too" },
    { rule: "+acl|deluser", why: "a user that nobody has declared is removed from a running node" },
    { rule: "+command", why: "drift: commands that were renamed or disabled, or are a module's; no parameter tells of either" },
    { rule: "+eval", why: "drift: a script that does nothing shows whether the writes of clients are held back (CLIENT PAUSE); it may do no more than its user" },
    { rule: "+client|unpause", why: "writes that somebody has paused are served again" },
    { rule: "+cluster|setslot", why: "slots that have left their shard go back to it, or one that was left on the move is settled" },
    { rule: "+cluster|countkeysinslot", why: "a slot without a master goes to the one that holds its keys" },
    { rule: "+cluster|getkeysinslot", why: "the keys of a slot that moves" },
    { rule: "+cluster|reset", why: "an interrupted creation without data is started over" },
  ],
  proxy: [
    { rule: "+ping", why: "liveness of a connection" },
    { rule: "+command", why: "the server's own command table, with its subcommands" },
    { rule: "+cluster|slots", why: "topology: which node owns which slots" },
    { rule: "+cluster|shards", why: "topology, with replicas' health" },
    { rule: "+cluster|nodes", why: "topology as each node sees it, to find the majority's view" },
    { rule: "+cluster|info", why: "cluster_state for the readiness endpoint" },
    { rule: "+cluster|myid", why: "a connection reached the node it was meant for" },
  ],
};

/** First Redis version that restricts channels; before, a channel rule is a syntax error and every channel is open. */
const channelRulesSince = [6, 2] as const;

const userName = /^[!-~]+$/;
const ruleText = /^[!-~]+$/;

/** A system user with its least privilege. */
export function systemUser(name: SystemUserName, password: string): AclUser {
  return { name, passwords: [password], rules: systemUserRules[name].map(({ rule }) => rule) };
}

/** SHA-256 of a password in the lower-case hex that ACL's `#` rule takes. */
export function hashAclPassword(password: string): string {
  return createHash("sha256").update(password).digest("hex");
}

/** What the server is like that will read a `users.acl`. */
export interface AclReader {
  /** `[major, minor]`; older than 6.2 has no channel rules. Default: current. */
  readonly redisVersion?: readonly [number, number];
  /** Whether it keeps an append-only file. Default: no. */
  readonly appendOnly?: boolean;
}

/**
 * The text of `users.acl`: the given users in the given order, then the user `default`, switched off. Where there is an append-only
 * file, that user keeps all rights, which nobody can use: as it is read, Redis checks transactions, and the writes of scripts, by
 * the rights of `default`, and leaves out what that may not (redis 7.0 `multi.c`, `execCommand`; `aof.c`, `createAOFClient`).
 * @throws {InvalidValueError} a name twice, a name or rule that cannot stand in the file, a user without password
 */
export function renderUsersAcl(users: readonly AclUser[], { redisVersion = [7, 0], appendOnly = false }: AclReader = {}): string {
  const seen = new Set<string>();
  const known = (rules: readonly string[]): string[] => rules.filter((rule) => !isChannelRule(rule) || knowsChannelRules(redisVersion));
  const lines = users.map((user) => {
    checkUser(user, seen);
    const hashes = user.passwords.map((password) => `#${hashAclPassword(password)}`);
    return ["user", user.name, "on", ...hashes, ...known(user.rules)].join(" ");
  });
  return [...lines, ["user default off", ...(appendOnly ? known(fullAccessRules) : [])].join(" "), ""].join("\n");
}

/** A Redis user as a person declares it: its password is generated. */
export interface DeclaredUser {
  readonly name: string;
  /** ACL rules for commands, keys and channels. Default: everything. */
  readonly rules?: readonly string[];
}

/**
 * Checks the users that a person declares, before anything is made.
 * @param propertyOf names the option that holds the user at an index, for the error
 * @throws {InvalidValueError} none at all, a name twice, one that cannot stand in users.acl or belongs to this toolkit, a
 *   rule that is none or that could let in somebody else
 */
export function checkDeclaredUsers(users: readonly DeclaredUser[], propertyOf: (index: number) => string): void {
  if (users.length === 0) throw new InvalidValueError("users", "is empty; expected at least one Redis user, such as alice");
  users.forEach(({ name, rules = [] }, index) => {
    checkDeclaredName(propertyOf(index), name);
    const first = users.findIndex((user) => user.name === name);
    if (first !== index) throw new InvalidValueError(propertyOf(index), `${name} is already ${propertyOf(first)}; expected each name once`);
    checkRules(`${propertyOf(index)}.rules`, rules);
  });
}

function checkDeclaredName(property: string, name: string): void {
  checkUserName(property, name);
  if (Object.hasOwn(systemUserRules, name)) throw new InvalidValueError(property, `${name} is a user of this toolkit itself; expected another name`);
}

function checkUserName(property: string, name: string): void {
  if (!userName.test(name)) throw new InvalidValueError(property, `${JSON.stringify(name)} is not a Redis user name; expected printable ASCII without spaces`);
  if (name === "default") throw new InvalidValueError(property, "default is switched off always, so that nobody gets in without a name; expected another name");
}

function checkUser(user: AclUser, seen: Set<string>): void {
  const property = `users.${JSON.stringify(user.name).slice(1, -1)}`;
  checkUserName(property, user.name);
  if (seen.has(user.name)) throw new InvalidValueError(property, "is declared twice; expected each name once");
  seen.add(user.name);
  if (user.passwords.length === 0 || user.passwords.some((password) => password === "")) {
    throw new InvalidValueError(property, "has no password; expected at least one");
  }
  checkRules(property, user.rules);
}

function checkRules(property: string, rules: readonly string[]): void {
  for (const rule of rules) {
    if (!ruleText.test(rule)) throw new InvalidValueError(property, `${JSON.stringify(rule)} is not one ACL rule; expected such as +get or ~orders:*`);
    if (/^([<>#!]|nopass$|resetpass$|reset$|on$|off$)/.test(rule)) {
      throw new InvalidValueError(property, `${JSON.stringify(rule.replace(/(?<=^[<>#!]).*/, "…"))} sets a password or switches the user; expected rules for commands, keys and channels only`);
    }
  }
}

function isChannelRule(rule: string): boolean {
  return rule.startsWith("&") || rule === "allchannels" || rule === "resetchannels";
}

function knowsChannelRules([major, minor]: readonly [number, number]): boolean {
  return major > channelRulesSince[0] || (major === channelRulesSince[0] && minor >= channelRulesSince[1]);
}
