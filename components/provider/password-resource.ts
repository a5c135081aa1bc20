import { randomBytes, randomUUID } from "node:crypto";
import { optional, text } from "../fields.ts";
import type { ResourceType } from "./resource-type.ts";

/** Random bytes of a password; written as 64 hexadecimal digits. */
const passwordBytes = 32;

const fields = {
  /** Any text; another one makes another password. */
  revision: optional(text),
};

/** A password that exists only in the stack's state, as a secret. */
export const passwordResource: ResourceType<typeof fields> = {
  fields,
  leftOut: [],
  notCompared: [],
  replaceOn: ["revision"],
  outputs: ["value"],
  secretOutputs: ["value"],
  expectations: [],
  expectedFrom: [],
  expect: () => ({}),
  preflight: () => Promise.resolve([]),
  identify: () => randomUUID(),
  create: () => Promise.resolve({ value: randomBytes(passwordBytes).toString("hex") }),
  read: (_inputs, state) => Promise.resolve({ value: state["value"] }),
  update: (_inputs, state) => Promise.resolve({ value: state["value"] }),
  delete: () => Promise.resolve(),
};
