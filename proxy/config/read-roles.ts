import { ACCESS_ROLE } from "../access/roles.ts";
import type { Role } from "../access/roles.ts";
import type { Field } from "./field.ts";

const LABELS_FORM = 'a map of labels, each with a value or a list of values, such as { env: [dev, staging] } or { "*": "*" }';

/** Reads `roles`; where the file has none, the built-in one. */
export function readRoles(field: Field): readonly Role[] {
  if (!field.present) return [ACCESS_ROLE];
  const seen = new Set<string>();
  return field.items("a list of at least one role").map((item) => {
    const fields = item.fields("name", "db_labels", "db_users", "db_names");
    const name = fields.name.text("the name of the role");
    if (seen.has(name)) fields.name.fail(`is ${JSON.stringify(name)}, the name of another role; expected one of its own`);
    if (name !== "") seen.add(name);
    return {
      name,
      dbLabels: readLabels(fields.db_labels),
      dbUsers: readTexts(fields.db_users, 'a list of Redis users, such as [alice] or ["*"]'),
      dbNames: fields.db_names.present ? readTexts(fields.db_names, 'a list of databases, such as ["*"]') : [],
    };
  });
}

function readLabels(field: Field): Record<string, readonly string[]> {
  const labels = field.entries(LABELS_FORM).map(([name, value]): [string, readonly string[]] => {
    const values = value.isList ? readTexts(value, "a list of values") : [readPattern(value)];
    // A wildcard in place of a name says "whatever the labels are"; with a value it would say something else to each reader.
    if (name.includes("*") && (name !== "*" || values.some((text) => text !== "*"))) value.fail('is under a name with a wildcard; expected "*": "*", or a label\'s own name');
    return [name, values];
  });
  return Object.fromEntries(labels);
}

function readTexts(field: Field, what: string): readonly string[] {
  return field.items(what).map(readPattern);
}

/** A text in which `*` is the one special character; regular expressions and templates of other systems are refused, not misread. */
function readPattern(field: Field): string {
  return field.text("a text, * for any, and no regular expression or template", (text) => text !== "" && !/^\^.*\$$|\{\{/s.test(text));
}
