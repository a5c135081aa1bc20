import { type Properties, sameValue } from "./properties.ts";
import type { PropertyChange } from "./resource-type.ts";

/**
 * Compares the named properties of a state with those that are wanted.
 *
 * @param replaces whether a change of this property, from this state, means a new resource
 */
export function changesOf(names: readonly string[], state: Properties, wanted: Properties, replaces: (name: string) => boolean): Record<string, PropertyChange> {
  const changes: Record<string, PropertyChange> = {};
  for (const name of names) {
    const before = state[name];
    const after = wanted[name];
    if (sameValue(before, after)) continue;
    const kind = before === undefined ? "add" : after === undefined ? "delete" : "update";
    changes[name] = { kind, replace: replaces(name) };
  }
  return changes;
}
