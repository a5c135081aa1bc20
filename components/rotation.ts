import { InvalidValueError } from "./invalid-value-error.ts";

/** What a rotation replaces. A password has no servers of its own to update: who checks it accepts both in the overlap. */
export type RotationKind = "authority" | "password";

/** The phases of a rotation, in their order; `standby` is where it begins, and with the next generation where it ends. */
const phasesOf = {
  authority: ["standby", "init", "update_clients", "update_servers"],
  password: ["standby", "init", "update_clients"],
} as const;

/** One of the phases of {@link Rotation}. */
export type RotationPhase = (typeof phasesOf.authority)[number];

/** How far the rotation of one authority or password is. */
export interface Rotation {
  /** `standby`: only the generation stands. In any other phase the one before it stands beside it. */
  readonly phase: RotationPhase;
  /** The newest generation, from 1. */
  readonly generation: number;
}

/** Before anything was ever rotated. */
export const unrotated: Rotation = { phase: "standby", generation: 1 };

const largestGeneration = 9999;

/** As the stack's configuration has it: `standby 1`, `init 2`. */
export function formatRotation({ phase, generation }: Rotation): string {
  return `${phase} ${generation}`;
}

/**
 * Reads what {@link formatRotation} writes.
 * @throws {InvalidValueError} another text, a phase that this kind does not have, a first generation that replaces none
 */
export function parseRotation(property: string, kind: RotationKind, text: string): Rotation {
  const match = /^([a-z_]+) ([1-9]\d{0,3})$/.exec(text);
  const phases: readonly RotationPhase[] = phasesOf[kind];
  const phase = phases.find((each) => each === match?.[1]);
  if (match === null || phase === undefined) {
    throw new InvalidValueError(property, `is ${JSON.stringify(text.slice(0, 60))}; expected a phase and a generation, such as "standby 1"; the phases are ${phases.join(", ")}`);
  }
  const generation = Number(match[2]);
  if (phase !== "standby" && generation === 1) throw new InvalidValueError(property, `is "${text}", but generation 1 replaces none; expected "standby 1" or "${phase} 2"`);
  return { phase, generation };
}

/** The step after this one. */
export function stepAfter(kind: RotationKind, rotation: Rotation): Rotation {
  return stepAt(kind, positionOf(kind, rotation) + 1);
}

/** The step before this one, back to where its rotation began; undefined in standby, where what was before is gone. */
export function stepBefore(kind: RotationKind, rotation: Rotation): Rotation | undefined {
  return rotation.phase === "standby" ? undefined : stepAt(kind, positionOf(kind, rotation) - 1);
}

/** Steps from `standby 1` to here. Whatever stands on either side of one step works with the other side. */
function positionOf(kind: RotationKind, { phase, generation }: Rotation): number {
  const phases: readonly RotationPhase[] = phasesOf[kind];
  const index = phases.indexOf(phase);
  return (generation - (index === 0 ? 1 : 2)) * phases.length + index;
}

function stepAt(kind: RotationKind, position: number): Rotation {
  const phases: readonly RotationPhase[] = phasesOf[kind];
  const index = position % phases.length;
  const generation = Math.floor(position / phases.length) + (index === 0 ? 1 : 2);
  if (generation > largestGeneration) throw new InvalidValueError("generation", `is ${generation}; expected at most ${largestGeneration}`);
  return { phase: phases[index]!, generation };
}

/** What is known of a rotation from the runs before this one. */
export interface RotationFound {
  /** The step that a run last began. */
  readonly begun: Rotation;
  /** Where that run was cut off, the neighbouring step that some parts may still be at; where it came to its end, the same step. */
  readonly from: Rotation;
}

/** What a run that begins the step `declared` leaves to be found if it is cut off. The step must be one of {@link stepsFrom}. */
export function beginStep({ begun, from }: RotationFound, declared: Rotation): RotationFound {
  return { begun: declared, from: isSameStep(from, declared) ? begun : from };
}

/**
 * Checks that a declared step can be taken from where things stand. Two steps at once would leave somebody, for a moment or
 * for good, with a certificate or password that another one does not accept.
 * @param found undefined where nothing stands yet, or nothing is known of it
 * @throws {InvalidValueError} with the steps that would be right
 */
export function checkRotationStep(property: string, kind: RotationKind, declared: Rotation, found: RotationFound | undefined): void {
  if (found === undefined) return;
  const right = stepsFrom(kind, found);
  if (right.some((step) => isSameStep(step, declared))) return;
  const stands = isSameStep(found.begun, found.from) ? `"${formatRotation(found.from)}" is what stands` : `the step from "${formatRotation(found.from)}" to "${formatRotation(found.begun)}" was cut off`;
  const expected = right.map((step) => `"${formatRotation(step)}"`).join(" or ");
  throw new InvalidValueError(property, `is "${formatRotation(declared)}", but ${stands}; expected ${expected}, one step at a time`);
}

/** The steps that can be declared now, as they follow one another; the one that was last begun is always among them. */
export function stepsFrom(kind: RotationKind, { begun, from }: RotationFound): readonly Rotation[] {
  const candidates = [stepBefore(kind, begun), stepBefore(kind, from), begun, from, stepAfter(kind, begun), stepAfter(kind, from)];
  const near = (step: Rotation, other: Rotation): boolean => Math.abs(positionOf(kind, step) - positionOf(kind, other)) <= 1;
  const positions = candidates.flatMap((step) => {
    if (step === undefined || !near(step, begun) || !near(step, from)) return [];
    // Once the last step is begun, what it removes may be gone: it can only be finished.
    return begun.phase === "standby" && positionOf(kind, step) < positionOf(kind, begun) ? [] : [positionOf(kind, step)];
  });
  return [...new Set(positions)].sort((a, b) => a - b).map((position) => stepAt(kind, position));
}

/** Whether both are the same phase of the same generation. */
export function isSameStep(a: Rotation, b: Rotation): boolean {
  return a.phase === b.phase && a.generation === b.generation;
}

/** Which generations of an authority stand, and what each is for. */
export interface AuthorityGenerations {
  /** Signs whatever is made now. */
  readonly signer: number;
  /** Those that servers trust, the oldest first: of the Redis CA and the db_client CA, the nodes. */
  readonly trustedByServers: readonly number[];
  /** Those that clients trust, the oldest first: of the Redis CA, the proxy and whoever else verifies nodes. */
  readonly trustedByClients: readonly number[];
  /** All that stand, the oldest first. */
  readonly standing: readonly number[];
  /** The one that goes with the next step, if it is the last; the engine must be free to delete it then. */
  readonly leaving: number | undefined;
}

/**
 * What the generations of an authority are for in each phase.
 *
 * An authority of servers (Redis CA): `init` makes the new one, and servers trust it of each other; `update_clients` has clients
 * trust it too; `update_servers` moves the servers' certificates to it; `standby` drops the old one.
 * An authority of clients (db_client CA): `init` makes the new one, and servers trust it; `update_clients` moves the clients'
 * certificates to it; `update_servers` has servers trust the old one no more; `standby` drops it.
 * @param signs whose certificates the authority signs
 */
export function authorityGenerations({ phase, generation }: Rotation, signs: "servers" | "clients"): AuthorityGenerations {
  const [old, both] = [generation - 1, [generation - 1, generation]];
  if (phase === "standby") return { signer: generation, trustedByServers: [generation], trustedByClients: [generation], standing: [generation], leaving: undefined };
  const moved = phase === "update_servers" || (phase === "update_clients" && signs === "clients");
  return {
    signer: moved ? generation : old,
    trustedByServers: phase === "update_servers" && signs === "clients" ? [generation] : both,
    trustedByClients: phase === "init" ? [old] : both,
    standing: both,
    leaving: phase === "update_servers" ? old : undefined,
  };
}

/** Which generations of a password are valid, the oldest first, and which one is used and shown. */
export function passwordGenerations({ phase, generation }: Rotation): { readonly valid: readonly number[]; readonly used: number } {
  if (phase === "standby") return { valid: [generation], used: generation };
  return { valid: [generation - 1, generation], used: phase === "init" ? generation - 1 : generation };
}

/** What a run of the rotation does next. */
export type RotationMove =
  /** Declare this step, and update. */
  | { readonly kind: "take"; readonly step: Rotation }
  /** All is done; `step` is what stands. */
  | { readonly kind: "finished"; readonly step: Rotation };

/** Where a rotation is to end. */
export type RotationDirection = "forward" | "rollback";

/**
 * Where a rotation that is begun or gone on with now will end: forward in the next standby, or in the one that was begun and not
 * finished; back in the standby before.
 * @throws {InvalidValueError} a rollback where nothing is left to roll back to
 */
export function rotationGoal(property: string, kind: RotationKind, { begun, from }: RotationFound, direction: RotationDirection): Rotation {
  if (direction === "rollback") {
    if (begun.phase !== "standby") return { phase: "standby", generation: begun.generation - 1 };
    // A rollback whose last step was cut off.
    if (positionOf(kind, from) > positionOf(kind, begun)) return begun;
    const why = isSameStep(begun, from) ? "no rotation is under way" : "the last step of its rotation was begun";
    throw new InvalidValueError(property, `is "${formatRotation(begun)}": ${why}, and there is nothing to roll back to; expected a rotation before its last step`);
  }
  return { phase: "standby", generation: begun.phase === "standby" && isSameStep(begun, from) ? begun.generation + 1 : begun.generation };
}

/**
 * The next move towards a goal.
 * @param goal as {@link rotationGoal} gave it
 */
export function nextMove(kind: RotationKind, { begun, from }: RotationFound, goal: Rotation): RotationMove {
  const [at, other, end] = [begun, from, goal].map((step) => positionOf(kind, step)) as [number, number, number];
  // What was cut off needs not be finished to go the other way: on either side of a step all works.
  if (at !== other) return { kind: "take", step: Math.abs(end - at) < Math.abs(end - other) ? begun : from };
  return at === end ? { kind: "finished", step: goal } : { kind: "take", step: stepAt(kind, at + Math.sign(end - at)) };
}
