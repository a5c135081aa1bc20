import type { Fields, Parsed } from "../fields.ts";
import type { Values } from "./wire.ts";

/** A reason why inputs cannot be used, found before anything is changed. */
export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

/**
 * An update that failed half way. What it has left stands in the state: otherwise the next run would take the resource for what
 * it was before, and leave it alone where that is what is declared then.
 */
export class HalfDoneError extends Error {
  readonly code = "HALF_DONE";
  /** What is true of the world now, as an update returns it. */
  readonly state: Values;

  constructor(cause: Error, state: Values) {
    super(cause.message, { cause });
    this.name = "HalfDoneError";
    this.state = state;
  }
}

/** Inputs as a preview has them. */
export interface KnownInputs<F extends Fields> {
  /** Those whose values are known already. */
  readonly known: Partial<Parsed<F>>;
  /** Names of those that follow from what is yet to be made. */
  readonly unknown: ReadonlySet<string>;
}

/** Tells whoever watches an operation how it goes. */
export interface Report {
  /** A line that stays. */
  say(line: string): void;
  /** A line that is shown until the next one, or until the operation ends. */
  status(line: string): void;
}

/**
 * One kind of resource: what it is made of, and how it is made, looked at, changed and removed.
 * Everything here works on plain typed values; marks of secrets and unknowns are the dispatcher's business.
 *
 * `create`, `read` and `update` return what is true of the world: outputs, and the actual values of declared ones.
 * What they return stands in the state and is compared with the declaration at the next run.
 */
export interface ResourceType<F extends Fields> {
  readonly fields: F;
  /** Inputs that the state's outputs do not repeat, such as a file's content. They are not compared either. */
  readonly leftOut: readonly (keyof F & string)[];
  /** Inputs whose change alone is no reason to do anything. */
  readonly notCompared: readonly (keyof F & string)[];
  /** Inputs whose change makes it another thing: the old one is deleted, then a new one is made. */
  readonly replaceOn: readonly (keyof F & string)[];
  /** Outputs that are known only once it is made. */
  readonly outputs: readonly string[];
  /** Those of the outputs that can be told before an update from this state to these inputs; without it, none. */
  foresee?(inputs: Values, state: Values): Values;
  /** Expectations that time alone has made untrue since the state was written; without it, none. */
  aged?(inputs: Parsed<F>, state: Values): readonly string[];
  /** Outputs that are secret whatever the inputs are. */
  readonly secretOutputs: readonly string[];
  /**
   * What can be told of it before it is made, and what it must show to be as declared (a file's hash, `state: running`).
   * Compared with the world as inputs are.
   */
  readonly expectations: readonly string[];
  /** Inputs that the expectations follow from; if one is secret, so are they. */
  readonly expectedFrom: readonly (keyof F & string)[];
  expect(inputs: Parsed<F>): Values;
  /** Looks at the world without changing it, at preview too. `old` are the inputs in the state, if it has been made before. */
  preflight(inputs: KnownInputs<F>, old: Parsed<F> | undefined): Promise<readonly CheckFailure[]>;
  /** Its id, for as long as it is not replaced. */
  identify(inputs: Parsed<F>): string;
  /** Makes it, or finishes what an interrupted run has begun. */
  create(inputs: Parsed<F>, report: Report): Promise<Values>;
  /** Looks at it; undefined if it is gone. Changes nothing. */
  read(inputs: Parsed<F>, state: Values): Promise<Values | undefined>;
  update(inputs: Parsed<F>, state: Values, report: Report): Promise<Values>;
  /** Tells at preview what an update from this state would do, where its properties do not say it; changes nothing. */
  foretell?(inputs: KnownInputs<F>, state: Values, report: Report): Promise<void>;
  /**
   * Removes it; succeeds if it is gone already.
   * @param replaced whether it is to be made anew in the same run, because of a change or because a person has said so (`--replace`)
   */
  delete(inputs: Parsed<F>, state: Values, replaced: boolean): Promise<void>;
}

/** What resources have in common that are nothing but their declaration: making, reading and changing them touches nothing outside the state. */
export const declarationOnly = {
  leftOut: [],
  notCompared: [],
  replaceOn: [],
  outputs: [],
  secretOutputs: [],
  expectations: [],
  expectedFrom: [],
  expect: () => ({}),
  create: <I>(inputs: I) => Promise.resolve(inputs),
  read: <I>(inputs: I) => Promise.resolve(inputs),
  update: <I>(inputs: I) => Promise.resolve(inputs),
};
