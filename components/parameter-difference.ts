import { createHash } from "node:crypto";
import type { Finding } from "./drift.ts";
import { nameSecret } from "./drift.ts";

/** What a server that was given the declared parameters says of itself. */
export interface ReferenceParameters {
  /** The answer to `CONFIG GET *`: every parameter, declared or not, in Redis's own form. */
  readonly values: ReadonlyMap<string, string>;
  /** Parameters that this version does not change while it runs. */
  readonly fixed: ReadonlySet<string>;
}

/** A parameter that has another value than it must have. */
export interface ParameterDifference {
  readonly name: string;
  /** In the form that `CONFIG SET` takes. */
  readonly declared: string;
  readonly actual: string;
  /** Whether only a restart brings the declared value back. */
  readonly fixed: boolean;
}

/** Values that must not be shown. */
const secretNames: ReadonlySet<string> = new Set(["masterauth", "requirepass", "tls-key-file-pass", "tls-client-key-file-pass"]);

/** What the cluster sets at run time, by its roles. */
const roleNames: ReadonlySet<string> = new Set(["replicaof", "slaveof"]);

/**
 * Compares all parameters of a running node, those that nobody has declared too, with what they must be.
 * @param own values that are the node's own, such as paths; they go before the reference's
 * @param live the node's answer to `CONFIG GET *`
 */
export function compareParameters(reference: ReferenceParameters, own: ReadonlyMap<string, string>, live: ReadonlyMap<string, string>): readonly ParameterDifference[] {
  const differences = [...live].flatMap(([name, actual]): ParameterDifference[] => {
    const declared = own.get(name) ?? reference.values.get(name);
    if (declared === undefined || declared === actual || roleNames.has(name)) return [];
    return [{ name, declared, actual, fixed: reference.fixed.has(name) }];
  });
  const names = new Set(differences.map(({ name }) => name));
  return differences.filter(({ name }) => {
    const current = currentName(name);
    return current === name || !names.has(current);
  });
}

/** Redis lists a parameter that was renamed under both names (redis src/config.c). */
function currentName(name: string): string {
  return name === "lua-time-limit" ? "busy-reply-threshold" : name.replace("slave", "replica").replace("ziplist", "listpack");
}

/** The difference in an operator's words; a secret is named by its hash. */
export function describeParameter({ name, declared, actual, fixed }: ParameterDifference): Finding {
  return { thing: `parameter ${name}`, declared: show(name, declared), actual: show(name, actual), mend: fixed ? "restart" : "live" };
}

function show(name: string, value: string): string {
  if (value === "") return "(empty)";
  return secretNames.has(name) ? nameSecret(createHash("sha256").update(value).digest("hex")) : value;
}
