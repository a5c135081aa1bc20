import { spells } from "../resp/bytes.ts";
import type { Request } from "../resp/request-parser.ts";
import type { CommandEntry, CommandTable, KeySpec } from "./command-table.ts";

/** No index: index 0 is the command's name and never a key. */
const NONE = 0;
/** No name of a command or subcommand has so many bytes. */
export const MOST_WORD_BYTES = 256;

/**
 * Index among the arguments of the first key that `request` names, or 0 where it names none.
 * Where a request's keys lie in several slots, the node that owns the first says so (CROSSSLOT).
 */
export function firstKeyIndex(entry: CommandEntry, request: Request): number {
  for (const spec of entry.keySpecs) {
    const [first, last] = keyRange(spec, request);
    if (first !== NONE && first <= last && first < request.argc) return first;
  }
  return NONE;
}

/** Indexes among the arguments of all keys that `request` names, in order, each once; at most `most` of them. */
export function keyIndexes(entry: CommandEntry, request: Request, most = Number.MAX_SAFE_INTEGER): number[] {
  // In a single range they are in order, and each is there once.
  if (entry.keySpecs.length === 1) {
    const [first, last, step] = keyRange(entry.keySpecs[0]!, request);
    const indexes: number[] = [];
    if (first !== NONE) for (let i = first; i <= last && i < request.argc && indexes.length < most; i += step) indexes.push(i);
    return indexes;
  }
  const found = new Set<number>();
  for (const spec of entry.keySpecs) {
    const [first, last, step] = keyRange(spec, request);
    if (first === NONE) continue;
    for (let i = first; i <= last && i < request.argc && found.size < most; i += step) found.add(i);
  }
  return [...found].sort((a, b) => a - b);
}

/** First and last index and step of a key specification's keys (Redis key specifications). */
function keyRange(spec: KeySpec, request: Request): [first: number, last: number, step: number] {
  const start = beginning(spec, request);
  if (start === NONE || start >= request.argc) return [NONE, NONE, 1];
  const find = spec.find;
  if (find.kind === "keynum") {
    const count = argumentAsCount(request, start + find.countIndex);
    const first = start + find.firstKey;
    return count === 0 ? [NONE, NONE, 1] : [first, first + (count - 1) * find.step, find.step];
  }
  if (find.lastKey >= 0) return [start, start + find.lastKey, find.step];
  // A negative last key counts from the end; with a limit of n only the first 1/n of what is left are keys.
  const rest = request.argc - start;
  const last = find.limit > 1 ? start + Math.floor(rest / find.limit) - 1 : request.argc + find.lastKey;
  return [start, last, find.step];
}

function beginning(spec: KeySpec, request: Request): number {
  const begin = spec.begin;
  if (begin.kind === "index") return begin.index;
  const backwards = begin.startFrom < 0;
  const step = backwards ? -1 : 1;
  for (let i = backwards ? request.argc + begin.startFrom : begin.startFrom; i > 0 && i < request.argc; i += step) {
    if (argumentSpells(request, i, begin.keyword)) return i + 1;
  }
  return NONE;
}

/** What the table says of the command that `request` names; of its container, where it is a subcommand. */
export function entryOf(table: CommandTable, { frame, start, offsets }: Request): CommandEntry | undefined {
  return table.find(frame, start + offsets[0]!, start + offsets[1]!);
}

/** Whether argument `index` of `request` is `word` (given in lower case), ASCII letters compared without case. */
export function argumentSpells(request: Request, index: number, word: string): boolean {
  const { frame, start, offsets } = request;
  return spells(frame, start + offsets[2 * index]!, start + offsets[2 * index + 1]!, word);
}

/** Argument `index` of `request`; the bytes are shared with the frame. */
export function argument(request: Request, index: number): Buffer {
  const { frame, start, offsets } = request;
  return frame.subarray(start + offsets[2 * index]!, start + offsets[2 * index + 1]!);
}

/**
 * Argument `index` of `request` as a word, its ASCII letters in lower case: to be compared with names of commands and the like. Of a
 * longer one than any name is, only the beginning is read.
 */
export function argumentWord({ frame, start, offsets }: Request, index: number): string {
  const from = start + offsets[2 * index]!;
  return frame.toString("latin1", from, Math.min(start + offsets[2 * index + 1]!, from + MOST_WORD_BYTES)).toLowerCase();
}

function argumentAsCount(request: Request, index: number): number {
  if (index >= request.argc) return 0;
  const digits = argumentWord(request, index);
  return /^[0-9]{1,9}$/.test(digits) ? Number(digits) : 0;
}
