import type { Finding } from "./drift.ts";
import { nameSecret } from "./drift.ts";

/** How the users of a running node differ from the declared ones, and the commands that put them right. */
export interface AclDifference {
  readonly findings: readonly Finding[];
  /** For the node, in this order. None of them drops a client of a declared user, as `ACL LOAD` would. */
  readonly commands: readonly (readonly [string, ...string[]])[];
}

/**
 * Compares two answers to `ACL LIST`, user by user and rule by rule.
 *
 * Both must come from servers of one version: Redis writes rules in a form of its own, which differs between versions.
 * @param declared the answer of a server that was given the declared users, and no others
 * @param live the answer of the running node
 */
export function compareUsers(declared: readonly string[], live: readonly string[]): AclDifference {
  const wanted = byName(declared);
  const found = byName(live);
  const findings: Finding[] = [];
  const commands: (readonly [string, ...string[]])[] = [];
  for (const [name, rules] of found) {
    if (wanted.has(name)) continue;
    findings.push({ thing: `user ${name}`, declared: "no such user", actual: describeRules(rules), mend: "live" });
    commands.push(["ACL", "DELUSER", name]);
  }
  for (const [name, rules] of wanted) {
    const actual = found.get(name);
    if (actual !== undefined && canonical(rules) === canonical(actual)) continue;
    findings.push({ thing: `user ${name}`, ...describeChange(rules, actual), mend: "live" });
    commands.push(["ACL", "SETUSER", name, "reset", ...rules]);
  }
  return { findings, commands };
}

/** The rules of one user in an answer to `ACL LIST`; none where there is no such user. */
export function rulesOf(lines: readonly string[], user: string): readonly string[] {
  return byName(lines).get(user) ?? [];
}

/** `user <name> <rule> …`, a selector in parentheses being one rule (redis.io/commands/acl-list). */
function byName(lines: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const users = lines.map((line): [string, readonly string[]] => {
    const [, name = "", ...rules] = line.match(/\([^)]*\)|[^ ]+/g) ?? [];
    // The default, which Redis 7.0 writes for users that were set while it ran and not for those of its aclfile.
    return [name, rules.filter((rule) => rule !== "sanitize-payload")];
  });
  return new Map(users);
}

/**
 * One text for all ways of writing the same rules. Redis 7.0 lists single commands in an order that differs from process to
 * process; between two rules for a category they commute. Categories do not: the last one that names a command counts.
 */
function canonical(rules: readonly string[]): string {
  const others: string[] = [];
  const blocks: string[][] = [[]];
  for (const rule of rules) {
    if (/^[+-]@/.test(rule)) blocks.push([rule], []);
    else if (/^[+-]/.test(rule)) blocks.at(-1)!.push(rule);
    else if (rule.startsWith("(")) others.push(`(${canonical(rule.slice(1, -1).split(" "))})`);
    else others.push(rule);
  }
  return [...others.sort(), ...blocks.flatMap((block) => block.sort())].join(" ");
}

function describeChange(declared: readonly string[], actual: readonly string[] | undefined): { declared: string; actual: string } {
  if (actual === undefined) return { declared: describeRules(declared), actual: "no such user" };
  const lacking = declared.filter((rule) => !actual.includes(rule));
  const added = actual.filter((rule) => !declared.includes(rule));
  // The same rules in another order mean something else.
  if (lacking.length === 0 && added.length === 0) return { declared: describeRules(declared), actual: describeRules(actual) };
  return { declared: lacking.length === 0 ? `without ${describeRules(added)}` : describeRules(lacking), actual: added.length === 0 ? `without ${describeRules(lacking)}` : describeRules(added) };
}

function describeRules(rules: readonly string[]): string {
  return rules.map((rule) => (rule.startsWith("#") ? `password ${nameSecret(rule.slice(1))}` : rule)).join(" ");
}
