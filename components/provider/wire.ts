/**
 * Property values as the engine sends them to a provider (pulumi sdk/go/common/resource/plugin/rpc.go): JSON in which
 * secrets and unknowns are marked. A provider that says it accepts secrets must mark its own again on the way back.
 */

/** Stands for a value that is not known before another resource has been made. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
const outputSignature = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/** Property values without marks. */
export type Values = Readonly<Record<string, unknown>>;

/** Property values, and which of them must not be shown. */
export interface Decoded {
  readonly values: Values;
  /** Top-level properties that are, or hold, a secret. */
  readonly secrets: ReadonlySet<string>;
}

/** Takes the marks off. */
export function decode(wire: Values): Decoded {
  const values: Record<string, unknown> = {};
  const secrets = new Set<string>();
  for (const [name, value] of Object.entries(wire)) {
    values[name] = unwrap(value, () => secrets.add(name));
  }
  return { values, secrets };
}

/** Puts the marks of secrets on; properties without value are left out. */
export function encode(values: Values, secrets: ReadonlySet<string>): Record<string, unknown> {
  const wire: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    wire[name] = secrets.has(name) && value !== unknown ? { [signatureKey]: secretSignature, value } : value;
  }
  return wire;
}

/** Whether a value, or anything in it, is not known yet. */
export function holdsUnknown(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value === unknown;
  return Object.values(value).some(holdsUnknown);
}

function unwrap(value: unknown, onSecret: () => void): unknown {
  if (Array.isArray(value)) return value.map((item) => unwrap(item, onSecret));
  if (!isRecord(value)) return value;
  const signature = value[signatureKey];
  if (signature === secretSignature) {
    onSecret();
    return unwrap(value["value"], onSecret);
  }
  if (signature === outputSignature) {
    if (value["secret"] === true) onSecret();
    return "value" in value ? unwrap(value["value"], onSecret) : unknown;
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unwrap(item, onSecret)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
