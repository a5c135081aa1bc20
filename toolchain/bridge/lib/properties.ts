import struct from "google-protobuf/google/protobuf/struct_pb.js";

/** A property value as it crosses the wire: JSON, in which a secret is an object with a signature. */
export type PropertyValue = null | boolean | number | string | readonly PropertyValue[] | { readonly [key: string]: PropertyValue };

/** The properties of a resource, by name. An absent name and null mean the same to the engine. */
export type Properties = Readonly<Record<string, PropertyValue>>;

/** Marks what follows as a special value (`SigKey` in sdk/go/common/resource/sig). */
const SIGNATURE_KEY = "4dabf18193072939515e22adb298388d";
/** The signature of a secret (`SecretSig`). */
const SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270";

/** Stands for a string that is not known before an update runs (`UnknownStringValue` in the engine's rpc.go). */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Marks a value as secret: the engine encrypts it in the state and hides it on the screen. */
export function secret(value: PropertyValue): PropertyValue {
  return isSecret(value) || value === null ? value : { [SIGNATURE_KEY]: SECRET_SIGNATURE, value };
}

/** The value without its secret marks, at any depth: for use, never for sending back. */
export function reveal(value: PropertyValue): PropertyValue {
  if (isSecret(value)) return reveal((value as { value: PropertyValue }).value);
  if (Array.isArray(value)) return (value as readonly PropertyValue[]).map(reveal);
  if (value !== null && typeof value === "object") return revealAll(value as Properties);
  return value;
}

/** `reveal` for each property; those that are null are left out. */
export function revealAll(properties: Properties): Properties {
  return withoutNulls(Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, reveal(value)])));
}

/** Whether two values are the same, secret marks aside. */
export function sameValue(left: PropertyValue | undefined, right: PropertyValue | undefined): boolean {
  return canonical(left) === canonical(right);
}

/** The properties without those that are null, which mean nothing. */
export function withoutNulls(properties: Readonly<Record<string, PropertyValue | undefined>>): Properties {
  const given = Object.entries(properties).filter((entry): entry is [string, PropertyValue] => entry[1] !== null && entry[1] !== undefined);
  return Object.fromEntries(given);
}

/** Reads a protobuf Struct; an absent one is empty. */
export function fromStruct(message: struct.Struct | undefined): Properties {
  return withoutNulls((message?.toJavaScript() ?? {}));
}

/** Writes a protobuf Struct. */
export function toStruct(properties: Properties): struct.Struct {
  return struct.Struct.fromJavaScript(withoutNulls(properties));
}

function isSecret(value: PropertyValue): boolean {
  return value !== null && typeof value === "object" && (value as Properties)[SIGNATURE_KEY] === SECRET_SIGNATURE;
}

/** JSON with sorted keys and without nulls, so that equal values have equal text. */
function canonical(value: PropertyValue | undefined): string {
  if (value === undefined) return "null";
  return JSON.stringify(reveal(value), (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}
