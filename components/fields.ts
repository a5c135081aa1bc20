import { isAbsolute, normalize } from "node:path";
import { closestWord } from "./closest-word.ts";
import { InvalidValueError } from "./invalid-value-error.ts";

/** Reads one property: gives its typed value, or throws {@link InvalidValueError} with the property's name. */
export type Field<T> = (value: unknown, property: string) => T;

/** The properties of a resource or of an object within one. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** The typed values that the fields read. */
export type Parsed<F extends Fields> = { readonly [Name in keyof F]: ReturnType<F[Name]> };

/** Text without NUL. The error does not show it: it may be a secret that stands in the wrong place. */
export const text: Field<string> = (value, property) => {
  if (typeof value !== "string") throw new InvalidValueError(property, `is ${kindOf(value)}; expected text`);
  if (value.includes("\0")) throw new InvalidValueError(property, "holds a NUL character; expected text without one");
  return value;
};

/** An absolute path in its shortest form, so that one file has one name. */
export const path: Field<string> = (value, property) => {
  const given = text(value, property);
  if (!isAbsolute(given) || normalize(given) !== given || given.endsWith("/")) {
    throw new InvalidValueError(property, `${JSON.stringify(given)} is not a plain absolute path; expected such as /usr/local/bin/name, without //, . or .. in it`);
  }
  return given;
};

/** Permission bits as four octal digits. */
export const mode: Field<string> = (value, property) => {
  const given = text(value, property);
  if (!/^0[0-7]{3}$/.test(given)) throw new InvalidValueError(property, `${JSON.stringify(given)} is not a mode; expected such as 0600`);
  return given;
};

/** Numeric owner and group. */
export const owner: Field<string> = (value, property) => {
  const given = text(value, property);
  if (!/^\d{1,10}:\d{1,10}$/.test(given)) throw new InvalidValueError(property, `${JSON.stringify(given)} is not an owner; expected uid:gid, such as 1000:1000`);
  return given;
};

/** SHA-256 in lower-case hex. */
export const sha256: Field<string> = (value, property) => {
  const given = text(value, property);
  if (!/^[0-9a-f]{64}$/.test(given)) throw new InvalidValueError(property, `${JSON.stringify(given)} is not a SHA-256; expected 64 hexadecimal digits`);
  return given;
};

/** `true` or `false`, not the word. */
export const flag: Field<boolean> = (value, property) => {
  if (typeof value !== "boolean") throw new InvalidValueError(property, `is ${shown(value)}; expected true or false`);
  return value;
};

/** A whole number within bounds, both included. */
export function integer(minimum: number, maximum: number): Field<number> {
  return (value, property) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      throw new InvalidValueError(property, `is ${shown(value)}; expected a whole number from ${minimum} to ${maximum}`);
    }
    return value;
  };
}

/** One of the given words. */
export function oneOf<Word extends string>(...words: readonly Word[]): Field<Word> {
  return (value, property) => {
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw new InvalidValueError(property, `is ${shown(value)}; expected one of ${words.join(", ")}`);
    return word;
  };
}

/** A property that may be absent. */
export function optional<T>(field: Field<T>): Field<T | undefined> {
  return (value, property) => (value === undefined || value === null ? undefined : field(value, property));
}

/** A property with a value where none is given. */
export function withDefault<T>(field: Field<T>, fallback: T | (() => T)): Field<T> {
  return (value, property) => {
    if (value !== undefined && value !== null) return field(value, property);
    return typeof fallback === "function" ? (fallback as () => T)() : fallback;
  };
}

/** A list of any length, an empty one too. */
export function list<T>(field: Field<T>): Field<readonly T[]> {
  return (value, property) => {
    if (!Array.isArray(value)) throw new InvalidValueError(property, `is ${kindOf(value)}; expected a list`);
    return value.map((item, index) => field(item, `${property}[${index}]`));
  };
}

/** Names to values. */
export function map<T>(field: Field<T>): Field<Readonly<Record<string, T>>> {
  return (value, property) => {
    const entries = Object.entries(record(value, property));
    return Object.fromEntries(entries.map(([name, item]) => [name, field(item, `${property}.${name}`)]));
  };
}

/** An object with exactly the given properties. */
export function object<F extends Fields>(fields: F): Field<Parsed<F>> {
  return (value, property) => {
    const given = record(value, property);
    refuseStrangers(fields, given, `${property}.`);
    return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field(given[name], `${property}.${name}`)])) as Parsed<F>;
  };
}

/**
 * Refuses properties that are not among the fields: a misspelt input would otherwise be ignored, and its value shown.
 * @throws {InvalidValueError} the first stranger, with the field that is probably meant
 */
export function refuseStrangers(fields: Fields, given: Readonly<Record<string, unknown>>, prefix = ""): void {
  const stranger = Object.keys(given).find((name) => !Object.hasOwn(fields, name) && !name.startsWith("__"));
  if (stranger === undefined) return;
  const names = Object.keys(fields);
  const meant = closestWord(stranger, names);
  throw new InvalidValueError(`${prefix}${stranger}`, `is not known; ${meant === undefined ? "" : `did you mean ${meant}? `}expected one of ${names.join(", ")}`);
}

function record(value: unknown, property: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidValueError(property, `is ${kindOf(value)}; expected names and values`);
  return value as Readonly<Record<string, unknown>>;
}

const shownCharacters = 60;

/** A value as it was written; for properties that are a number, a word or a flag, and so no secret. */
function shown(value: unknown): string {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return kindOf(value);
  const written = typeof value === "string" ? JSON.stringify(value) : String(value);
  return written.length <= shownCharacters ? written : `${written.slice(0, shownCharacters)}…`;
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "not given";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : typeof value === "string" ? "text" : `a ${typeof value}`;
}
