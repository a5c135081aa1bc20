import { beginStep, checkRotationStep, formatRotation, isSameStep, parseRotation } from "./rotation.ts";
import type { Rotation, RotationFound, RotationKind } from "./rotation.ts";

/** One thing that can be rotated, as the stack's configuration has it. */
export interface DeclaredRotation {
  /** The configuration key, which also names it in the record: `redisCaRotation`, `passwordRotations.alice`. */
  readonly property: string;
  readonly kind: RotationKind;
  readonly step: Rotation;
}

/**
 * The texts of two files that tell how far the rotations of a stack are. `begun` is written before anything else in an update,
 * `done` after all else: where their numbers differ, an update was cut off in between. They hold no secret.
 */
export interface RotationRecord {
  /** For each rotation the step that was begun, and behind it a neighbour where some parts may still be. */
  readonly begun: string;
  readonly done: string;
}

/** Names of the two files in a stack's directory. */
export const recordFiles: Readonly<Record<keyof RotationRecord, string>> = { begun: "rotations.begun", done: "rotations.done" };

interface Begun {
  readonly serial: number;
  readonly steps: Readonly<Record<string, readonly string[]>>;
}

/**
 * What is known of rotations from a record. A record that is damaged tells nothing, as one that is absent.
 * @returns by property; without those of which nothing is known
 */
export function readRotations(record: Partial<RotationRecord>, declared: readonly Pick<DeclaredRotation, "property" | "kind">[]): ReadonlyMap<string, RotationFound> {
  const begun = readBegun(record.begun);
  if (begun === undefined) return new Map();
  const complete = serialOf(record.done) === begun.serial;
  const entries = declared.flatMap(({ property, kind }): [string, RotationFound][] => {
    const [at, other] = stepsIn(kind, begun.steps[property]);
    return at === undefined ? [] : [[property, { begun: at, from: complete ? at : (other ?? at) }]];
  });
  return new Map(entries);
}

/**
 * What the files are to say during and after an update to the declared steps; the texts that are there if nothing changes.
 * @throws {InvalidValueError} the first step that cannot be taken from where things stand
 */
export function planRotations(record: Partial<RotationRecord>, declared: readonly DeclaredRotation[]): RotationRecord {
  const found = readRotations(record, declared);
  for (const { property, kind, step } of declared) checkRotationStep(property, kind, step, found.get(property));
  const unchanged = declared.every(({ property, step }) => isSameStep(found.get(property)?.begun ?? { ...step, generation: 0 }, step));
  const before = readBegun(record.begun);
  const serial = before === undefined ? 1 : unchanged ? before.serial : before.serial + 1;
  const steps = declared.map(({ property, step }): [string, readonly string[]] => {
    const known = found.get(property);
    // A record that needs no change keeps what it says: where an update came to its end, the way that led there.
    if (unchanged && before !== undefined) return [property, before.steps[property]!];
    const { begun, from } = known === undefined ? { begun: step, from: step } : beginStep(known, step);
    return [property, [begun, ...(isSameStep(begun, from) ? [] : [from])].map(formatRotation)];
  });
  return { begun: `${JSON.stringify({ serial, steps: Object.fromEntries(steps) }, null, 2)}\n`, done: `${JSON.stringify({ serial })}\n` };
}

function readBegun(text: string | undefined): Begun | undefined {
  const { serial, steps } = parseObject(text);
  if (!Number.isSafeInteger(serial) || typeof steps !== "object" || steps === null) return undefined;
  return { serial: serial as number, steps: steps as Begun["steps"] };
}

function serialOf(text: string | undefined): unknown {
  return parseObject(text)["serial"];
}

function stepsIn(kind: RotationKind, texts: unknown): readonly Rotation[] {
  try {
    return Array.isArray(texts) ? texts.map((text) => parseRotation("", kind, String(text))) : [];
  } catch {
    return [];
  }
}

function parseObject(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
