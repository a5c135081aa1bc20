import type { Identity } from "./identity.ts";

/** What a role allows. In every list `*` stands for any text, alone or as a part: `app-*`. */
export interface Role {
  readonly name: string;
  /** Labels that a database must have, all of them, each with one of the values. No label at all allows no database. */
  readonly dbLabels: Readonly<Record<string, readonly string[]>>;
  /** Redis users that a session may log in as. */
  readonly dbUsers: readonly string[];
  /** Databases within a server. Redis has numbered ones only, which no role restricts: kept for what reads the roles. */
  readonly dbNames: readonly string[];
}

/** Labels of a database, name and value. */
export type Labels = Readonly<Record<string, string>>;

const ANY = "*";

/** The role of a configuration that defines none: every registered database, as any Redis user. */
export const ACCESS_ROLE: Role = { name: "access", dbLabels: { [ANY]: [ANY] }, dbUsers: [ANY], dbNames: [ANY] };

/** Whether a role of the caller allows the database with these labels. */
export function mayUseDatabase(roles: readonly Role[], identity: Identity, labels: Labels): boolean {
  return roles.some((role) => identity.roles.includes(role.name) && allowsLabels(role, labels));
}

/** Whether one role of the caller allows both the database with these labels and to log in to it as `redisUser`. */
export function mayBeUser(roles: readonly Role[], identity: Identity, labels: Labels, redisUser: string): boolean {
  return roles.some((role) => identity.roles.includes(role.name) && allowsLabels(role, labels) && matchesAny(role.dbUsers, redisUser));
}

function allowsLabels({ dbLabels }: Role, labels: Labels): boolean {
  const wanted = Object.entries(dbLabels);
  return wanted.length > 0 && wanted.every(([name, values]) => name === ANY || (Object.hasOwn(labels, name) && matchesAny(values, labels[name]!)));
}

function matchesAny(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matches(pattern, text));
}

/** In time linear to the text for each part of the pattern: the earliest place of a part leaves most room for the next. */
function matches(pattern: string, text: string): boolean {
  const [first, ...parts] = pattern.split(ANY);
  const last = parts.pop();
  if (last === undefined) return pattern === text;
  if (!text.startsWith(first!) || !text.endsWith(last) || text.length < first!.length + last.length) return false;
  let from = first!.length;
  const end = text.length - last.length;
  for (const part of parts) {
    const at = text.indexOf(part, from);
    if (at < 0 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}
