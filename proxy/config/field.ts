import { isMap, LineCounter, parseDocument } from "yaml";
import type { Document } from "yaml";
import { ConfigError } from "./config-error.ts";

type Path = readonly (string | number)[];

/** Longest value that an error message quotes, in characters. */
const QUOTED_CHARACTERS = 80;

/** A parsed YAML text, and the faults found in it so far. */
class Source {
  readonly problems: string[] = [];
  readonly #document: Document;
  readonly #lines = new LineCounter();

  constructor(text: string) {
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, version: "1.2" });
    // A warning is a tag that YAML does not know: the value would not be what its author meant.
    for (const { message, pos } of [...this.#document.errors, ...this.#document.warnings]) {
      this.problems.push(`line ${this.#lines.linePos(pos[0]).line}: ${message}`);
    }
  }

  value(): unknown {
    if (this.problems.length > 0) return undefined;
    try {
      return this.#document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      this.report([], error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  report(path: Path, text: string): void {
    const line = this.#lineOf(path);
    const at = line === undefined ? "" : ` (line ${line})`;
    this.problems.push(path.length === 0 ? `the file ${text}` : `${pathText(path)}${at}: ${text}`);
  }

  /** Line of the node at `path`, or of the nearest one around it where it is missing. */
  #lineOf(path: Path): number | undefined {
    for (let depth = path.length; depth > 0; depth--) {
      const start = this.#startOf(path.slice(0, depth));
      if (start !== undefined) return this.#lines.linePos(start).line;
    }
    return undefined;
  }

  #startOf(path: Path): number | undefined {
    const last = path.at(-1);
    const parent = this.#document.getIn(path.slice(0, -1), true);
    if (typeof last === "string" && isMap(parent)) {
      const pair = parent.items.find(({ key }) => String(key) === last);
      return (pair?.key as { range?: readonly number[] } | undefined)?.range?.[0];
    }
    const node = this.#document.getIn(path, true) as { range?: readonly number[] } | undefined;
    return node?.range?.[0];
  }
}

/**
 * One value of a configuration file with the place it stands at. Whatever is asked of it that it is not gets reported, and a
 * harmless stand-in is returned: one pass finds all that is wrong. Fields of a value that is no map report nothing further.
 */
export class Field {
  /** Whether the file has it. */
  readonly present: boolean;
  readonly #source: Source;
  readonly #path: Path;
  readonly #value: unknown;
  /** The value around it is missing or wrong, which is reported already. */
  readonly #muted: boolean;

  private constructor(source: Source, path: Path, value: unknown, muted: boolean) {
    this.#source = source;
    this.#path = path;
    this.#value = value;
    this.#muted = muted;
    // A key without a value is an unfinished line, not an absent one: reported as missing by whoever reads it.
    this.present = value !== undefined;
  }

  /**
   * Reads a whole text.
   *
   * @param read takes the root apart
   * @throws {ConfigError} with all that `read` and the YAML parser reported
   */
  static parse<T>(text: string, read: (root: Field) => T): T {
    const source = new Source(text);
    const value = source.value();
    const result = read(new Field(source, [], value, source.problems.length > 0));
    if (source.problems.length > 0) throw new ConfigError(source.problems);
    return result;
  }

  /** Reports a fault of this value. */
  fail(text: string): void {
    if (!this.#muted) this.#source.report(this.#path, text);
  }

  /** Reports that the value is not what was expected, or that it is missing. */
  expected(what: string): void {
    const { present } = this;
    this.fail(present && this.#value !== null ? `is ${quote(this.#value)}; expected ${what}` : `is missing; expected ${what}`);
  }

  /** Its fields by name; any other name in the file is reported. */
  fields<const Name extends string>(...names: Name[]): Record<Name, Field> {
    const map = this.#map(`a map with ${names.join(", ")}`);
    for (const key of Object.keys(map ?? {})) {
      if (!(names as string[]).includes(key)) this.#child(key, null, false).fail(`is unknown; expected one of ${names.join(", ")}`);
    }
    const entries = names.map((name) => [name, this.#child(name, map === undefined || !Object.hasOwn(map, name) ? undefined : map[name], map === undefined)]);
    return Object.fromEntries(entries) as Record<Name, Field>;
  }

  /** All its fields, whatever their names. */
  entries(what: string): [string, Field][] {
    return Object.entries(this.#map(what) ?? {}).map(([key, value]) => [key, this.#child(key, value, false)]);
  }

  /** Its items; a list without any is reported. */
  items(what: string): Field[] {
    if (!Array.isArray(this.#value) || this.#value.length === 0) {
      this.expected(what);
      return [];
    }
    return this.#value.map((item: unknown, index) => this.#child(index, item ?? null, false));
  }

  /** Whether it is a list, for values that may be one. */
  get isList(): boolean {
    return Array.isArray(this.#value);
  }

  /** A text of which `accept` holds, else an empty one. */
  text(what: string, accept: (text: string) => boolean = (text) => text !== ""): string {
    if (typeof this.#value === "string" && accept(this.#value)) return this.#value;
    this.expected(typeof this.#value === "number" || typeof this.#value === "boolean" ? `${what}, in quotes` : what);
    return "";
  }

  /** One of several words; the first where it is none. */
  oneOf<const Word extends string>(...words: [Word, ...Word[]]): Word {
    const word = words.find((candidate) => candidate === this.#value);
    if (word === undefined) this.expected(words.length === 1 ? words[0] : `one of ${words.join(", ")}`);
    return word ?? words[0];
  }

  /** Whether it is exactly this word, for values that may be a word or something else. */
  is(word: string): boolean {
    return this.#value === word;
  }

  /**
   * A whole number within bounds, both allowed.
   * @param or what else would be right, for the error
   */
  integer(lowest: number, highest: number, or = ""): number {
    const value = this.#value;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= lowest && value <= highest) return value;
    this.expected(`${or}a whole number from ${lowest} to ${highest}`);
    return lowest;
  }

  #map(what: string): Record<string, unknown> | undefined {
    const value = this.#value;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    this.expected(what);
    return undefined;
  }

  #child(key: string | number, value: unknown, muted: boolean): Field {
    return new Field(this.#source, [...this.#path, key], value, this.#muted || muted);
  }
}

function pathText(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const name = /^[A-Za-z_*][\w-]*$/.test(part) || part === "*" ? part : JSON.stringify(part);
      return index === 0 ? name : `.${name}`;
    })
    .join("");
}

function quote(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  // A key pasted where its path belongs must not end up in a log.
  if (typeof value === "string" && /[\r\n]|-----BEGIN/.test(value)) return "a text of several lines";
  const text = JSON.stringify(value);
  return text.length > QUOTED_CHARACTERS ? `${text.slice(0, QUOTED_CHARACTERS)}…` : text;
}
