import { spells, toLower } from "../resp/bytes.ts";
import type { ReplyValue } from "../resp/reply-decoder.ts";
import { ReplyError } from "../resp/reply-decoder.ts";

/** Where a run of keys starts among the arguments (Redis key specifications, "begin_search"). */
export type BeginSearch =
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "keyword"; readonly keyword: string; readonly startFrom: number };

/** How the keys go on from there (Redis key specifications, "find_keys"). */
export type FindKeys =
  | { readonly kind: "range"; readonly lastKey: number; readonly step: number; readonly limit: number }
  | { readonly kind: "keynum"; readonly countIndex: number; readonly firstKey: number; readonly step: number };

/** One place where a command has keys. */
export interface KeySpec {
  readonly begin: BeginSearch;
  readonly find: FindKeys;
}

/** What the server itself says of one command (the COMMAND reply), as far as routing needs it. */
export interface CommandEntry {
  /** In lower case; a subcommand as `container|sub`. */
  readonly name: string;
  /** Arguments with the name: exactly so many, or at least so many where it is negative. */
  readonly arity: number;
  /** Flag `readonly`: sending it twice changes nothing. Unknown commands and all others count as writes. */
  readonly readonly: boolean;
  /** Flag `blocking`: it may keep its connection waiting. */
  readonly blocking: boolean;
  readonly keySpecs: readonly KeySpec[];
  /** Index of the first key where every request of this command has it at the same place, else 0. */
  readonly firstKey: number;
  /** Command tips, without their prefix (Redis command tips); empty where the server gives none. */
  readonly requestPolicy: string;
  readonly responsePolicy: string;
  /** Routed by the key at `firstKey` and nothing else: no special handling, never waiting, no subcommands. */
  readonly simple: boolean;
  /** Has one key, at `firstKey`, and no other. */
  readonly oneKey: boolean;
  /** By name in lower case; empty for a command that is no container. */
  readonly subcommands: ReadonlyMap<string, CommandEntry>;
}

/** Bytes of a name that is remembered. */
const MOST_SPELLING_BYTES = 32;
const NO_SUBCOMMANDS: ReadonlyMap<string, CommandEntry> = new Map();

/** Key positions that servers before Redis 7.0 do not report: they only say `movablekeys`. */
const MOVABLE_KEYS: ReadonlyMap<string, readonly KeySpec[]> = new Map([
  ...["eval", "evalsha"].map((name): [string, KeySpec[]] => [name, [keynum(2)]]),
  ...["zunion", "zinter", "zdiff"].map((name): [string, KeySpec[]] => [name, [keynum(1)]]),
  ...["xread", "xreadgroup"].map((name): [string, KeySpec[]] => [
    name,
    [{ begin: { kind: "keyword", keyword: "streams", startFrom: 1 }, find: { kind: "range", lastKey: -1, step: 1, limit: 2 } }],
  ]),
]);

function keynum(index: number): KeySpec {
  return { begin: { kind: "index", index }, find: { kind: "keynum", countIndex: 0, firstKey: 1, step: 1 } };
}

/**
 * The commands that a server knows, found by the bytes of a name without making a string of them.
 * Built from the server's own COMMAND reply, so new and module commands need no release of the proxy.
 */
export class CommandTable {
  readonly #entries = new Map<string, CommandEntry>();
  /** Open addressing by the folded name's hash; the size is a power of two, at most half full. */
  #slots: (CommandEntry | undefined)[] = [];
  /** Bytes of the longest name. */
  #longest = 0;
  /** Found last, and the bytes it was spelled with: clients repeat themselves. */
  #last: CommandEntry | undefined;
  readonly #spelling = new Uint8Array(MOST_SPELLING_BYTES);
  #spellingBytes = 0;

  constructor(entries: Iterable<CommandEntry> = []) {
    for (const entry of entries) this.#entries.set(entry.name, entry);
    this.#rebuild();
  }

  /** How many commands it knows; subcommands do not count. */
  get size(): number {
    return this.#entries.size;
  }

  /** Adds commands, or replaces those of the same name. */
  add(entries: Iterable<CommandEntry>): void {
    for (const entry of entries) this.#entries.set(entry.name, entry);
    this.#rebuild();
  }

  /** @param name in lower case */
  get(name: string): CommandEntry | undefined {
    return this.#entries.get(name);
  }

  /** The command whose name is `buffer[start, end)`, ASCII letters without case. */
  find(buffer: Buffer, start: number, end: number): CommandEntry | undefined {
    if (this.#isLast(buffer, start, end)) return this.#last;
    if (end - start > this.#longest) return undefined;
    const mask = this.#slots.length - 1;
    let hash = end - start;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + toLower(buffer[i]!)) | 0;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = this.#slots[at];
      if (entry === undefined) return undefined;
      if (!spells(buffer, start, end, entry.name)) continue;
      this.#remember(entry, buffer, start, end);
      return entry;
    }
  }

  #isLast(buffer: Buffer, start: number, end: number): boolean {
    const length = this.#spellingBytes;
    if (end - start !== length || length === 0) return false;
    const spelling = this.#spelling;
    for (let i = 0; i < length; i++) if (buffer[start + i] !== spelling[i]) return false;
    return true;
  }

  #remember(entry: CommandEntry, buffer: Buffer, start: number, end: number): void {
    this.#last = entry;
    this.#spellingBytes = end - start > MOST_SPELLING_BYTES ? 0 : end - start;
    for (let i = 0; i < this.#spellingBytes; i++) this.#spelling[i] = buffer[start + i]!;
  }

  #rebuild(): void {
    let size = 64;
    while (size < 2 * this.#entries.size) size *= 2;
    this.#last = undefined;
    this.#spellingBytes = 0;
    this.#slots = new Array<CommandEntry | undefined>(size).fill(undefined);
    for (const entry of this.#entries.values()) {
      this.#longest = Math.max(this.#longest, entry.name.length);
      let hash = entry.name.length;
      for (let i = 0; i < entry.name.length; i++) hash = (Math.imul(hash, 31) + entry.name.charCodeAt(i)) | 0;
      let at = hash & (size - 1);
      while (this.#slots[at] !== undefined) at = (at + 1) & (size - 1);
      this.#slots[at] = entry;
    }
  }
}

/**
 * Reads the reply of COMMAND or COMMAND INFO (Redis commands reference, COMMAND): ten elements an entry since Redis 7.0,
 * six or seven before. Entries that are nil (names that COMMAND INFO does not know) are left out.
 *
 * @param special names (lower case) that a profile handles by name, so that they are never `simple`
 * @throws ReplyError where the reply is an error; TypeError where it has no such form
 */
export function parseCommandReply(reply: ReplyValue, special: ReadonlySet<string>): CommandEntry[] {
  if (reply instanceof ReplyError) throw reply;
  return list(reply, "reply").flatMap((item) => (item === null ? [] : [parseEntry(list(item, "entry"), special)]));
}

function parseEntry(item: ReplyValue[], special: ReadonlySet<string>): CommandEntry {
  const name = text(item[0]).toLowerCase();
  const flags = new Set(list(item[2] ?? [], "flags").map(text));
  const tips = new Map(list(item[7] ?? [], "tips").map((tip) => split(text(tip))));
  const subcommands = new Map<string, CommandEntry>();
  for (const sub of list(item[9] ?? [], "subcommands")) {
    const entry = parseEntry(list(sub, "subcommand"), special);
    subcommands.set(entry.name.slice(entry.name.indexOf("|") + 1), entry);
  }
  const keySpecs = item[8] === undefined ? legacyKeySpecs(name, item) : list(item[8], "key specifications").flatMap(parseKeySpec);
  const firstKey = fixedFirstKey(keySpecs);
  // Servers before Redis 7.0 have the category only.
  const blocking = flags.has("blocking") || list(item[6] ?? [], "categories").includes("@blocking");
  return {
    name,
    arity: Number(item[1]),
    readonly: flags.has("readonly"),
    blocking,
    keySpecs,
    firstKey,
    oneKey: firstKey > 0 && keySpecs.length === 1 && isSingle(keySpecs[0]!),
    simple: firstKey > 0 && !blocking && subcommands.size === 0 && !special.has(name),
    requestPolicy: tips.get("request_policy") ?? "",
    responsePolicy: tips.get("response_policy") ?? "",
    subcommands: subcommands.size === 0 ? NO_SUBCOMMANDS : subcommands,
  };
}

function legacyKeySpecs(name: string, item: ReplyValue[]): readonly KeySpec[] {
  const movable = MOVABLE_KEYS.get(name);
  if (movable !== undefined) return movable;
  const [first, last, step] = [Number(item[3]), Number(item[4]), Number(item[5])];
  if (!(first > 0)) return [];
  const lastKey = last < 0 ? last : last - first;
  return [{ begin: { kind: "index", index: first }, find: { kind: "range", lastKey, step: Math.max(step, 1), limit: 0 } }];
}

function parseKeySpec(value: ReplyValue): KeySpec[] {
  const spec = fields(value);
  const begin = fields(spec.get("begin_search") ?? []);
  const find = fields(spec.get("find_keys") ?? []);
  const beginSpec = fields(begin.get("spec") ?? []);
  const findSpec = fields(find.get("spec") ?? []);
  const beginSearch = parseBegin(text(begin.get("type")), beginSpec);
  const findKeys = parseFind(text(find.get("type")), findSpec);
  return beginSearch === undefined || findKeys === undefined ? [] : [{ begin: beginSearch, find: findKeys }];
}

function parseBegin(type: string, spec: Map<string, ReplyValue>): BeginSearch | undefined {
  if (type === "index") return { kind: "index", index: Number(spec.get("index")) };
  if (type !== "keyword") return undefined;
  return { kind: "keyword", keyword: text(spec.get("keyword")).toLowerCase(), startFrom: Number(spec.get("startfrom")) };
}

function parseFind(type: string, spec: Map<string, ReplyValue>): FindKeys | undefined {
  const step = Math.max(Number(spec.get("keystep")), 1);
  if (type === "range") return { kind: "range", lastKey: Number(spec.get("lastkey")), step, limit: Number(spec.get("limit")) };
  if (type !== "keynum") return undefined;
  return { kind: "keynum", countIndex: Number(spec.get("keynumidx")), firstKey: Number(spec.get("firstkey")), step };
}

/** The plain case, which the fast path takes: the first specification starts at a fixed index and names a range. */
function fixedFirstKey(specs: readonly KeySpec[]): number {
  const first = specs[0];
  return first?.begin.kind === "index" && first.find.kind === "range" ? first.begin.index : 0;
}

function isSingle({ find }: KeySpec): boolean {
  return find.kind === "range" && find.lastKey === 0;
}

function fields(value: ReplyValue): Map<string, ReplyValue> {
  const flat = list(value, "map");
  const map = new Map<string, ReplyValue>();
  for (let i = 0; i + 1 < flat.length; i += 2) map.set(text(flat[i]), flat[i + 1]!);
  return map;
}

function split(tip: string): [string, string] {
  const colon = tip.indexOf(":");
  return colon < 0 ? [tip, ""] : [tip.slice(0, colon), tip.slice(colon + 1)];
}

function list(value: ReplyValue, what: string): ReplyValue[] {
  if (!Array.isArray(value)) throw new TypeError(`the server's COMMAND reply has no list where its ${what} should be`);
  return value;
}

function text(value: ReplyValue | undefined): string {
  return typeof value === "string" ? value : "";
}
