import { flag, text, withDefault } from "../fields.ts";
import { declarationOnly } from "./resource-type.ts";
import type { ResourceType } from "./resource-type.ts";

const fields = {
  /** Whether it refuses to be deleted. */
  on: flag,
  /** For the error: what refuses. States of older versions do not have it. */
  what: withDefault(text, "stack"),
  /** For the error: how the protection is lifted. */
  howToLift: text,
};

/** What a protected stack, or a part of one, answers to `pulumi destroy`. */
export class ProtectedStackError extends Error {
  readonly code = "PROTECTED_STACK";

  constructor(what: string, howToLift: string) {
    super(`this ${what} is protected, and nothing of it was deleted. ${howToLift}`);
    this.name = "ProtectedStackError";
  }
}

/**
 * Stands for all that it depends on. The engine finds out that a resource is protected when the resource's turn has come,
 * after whatever depends on it is gone: authorities come last, when the nodes and their data are deleted. What depends on
 * everything is deleted first, and can refuse for all.
 */
export const protectionResource: ResourceType<typeof fields> = {
  fields,
  ...declarationOnly,
  preflight: () => Promise.resolve([]),
  identify: () => "protection",
  delete({ on, what, howToLift }) {
    return on ? Promise.reject(new ProtectedStackError(what, howToLift)) : Promise.resolve();
  },
};
