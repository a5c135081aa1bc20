import { isDeepStrictEqual } from "node:util";
import { InvalidValueError } from "../invalid-value-error.ts";
import type { Fields, Parsed } from "../fields.ts";
import { refuseStrangers } from "../fields.ts";
import { HalfDoneError } from "./resource-type.ts";
import type { CheckFailure, KnownInputs, Report, ResourceType } from "./resource-type.ts";
import { decode, encode, holdsUnknown, unknown } from "./wire.ts";
import type { Decoded, Values } from "./wire.ts";

/** What differs between the state and the declaration, by property. */
export interface Difference {
  readonly changed: readonly string[];
  readonly replaces: readonly string[];
}

/** A resource's operations in the engine's terms: property values with their marks in, property values with marks out. */
export interface WireResource {
  check(old: Values | undefined, news: Values): Promise<{ readonly inputs: Values; readonly failures: readonly CheckFailure[] }>;
  diff(state: Values, news: Values): Difference;
  create(news: Values, preview: boolean, report: Report): Promise<{ readonly id: string; readonly state: Values }>;
  read(inputs: Values, state: Values): Promise<Values | undefined>;
  /** @throws {HalfDoneError} with the state, marks and all, that is true now */
  update(state: Values, news: Values, preview: boolean, report: Report): Promise<Values>;
  /** @param replaced whether it is to be made anew in the same run */
  delete(inputs: Values, state: Values, replaced: boolean): Promise<void>;
}

/** Puts a resource type behind the engine's protocol: marks, defaults, unknowns, comparison. */
export function onWire<F extends Fields>(type: ResourceType<F>): WireResource {
  return {
    check: (old, news) => check(type, old, news),
    diff: (state, news) => diff(type, decode(state).values, decode(news).values),
    async create(news, preview, report) {
      const inputs = decode(news);
      if (preview) return { id: "", state: encode(foreseen(type, inputs, {}), stateSecrets(type, inputs)) };
      const typed = parse(type, inputs.values);
      return { id: type.identify(typed), state: toState(type, inputs, await type.create(typed, report)) };
    },
    async read(wireInputs, wireState) {
      const inputs = decode(wireInputs);
      const actual = await type.read(parse(type, inputs.values), decode(wireState).values);
      return actual === undefined ? undefined : toState(type, inputs, actual);
    },
    async update(state, news, preview, report) {
      const inputs = decode(news);
      const old = decode(state).values;
      if (preview) {
        await type.foretell?.(knownOf<F>(parseKnown(type, inputs.values).parsed), old, report);
        return encode(foreseen(type, inputs, old), stateSecrets(type, inputs));
      }
      try {
        return toState(type, inputs, await type.update(parse(type, inputs.values), old, report));
      } catch (error) {
        throw error instanceof HalfDoneError ? new HalfDoneError(error, toState(type, inputs, error.state)) : error;
      }
    },
    delete: (inputs, state, replaced) => type.delete(parse(type, decode(inputs).values), decode(state).values, replaced),
  };
}

async function check<F extends Fields>(type: ResourceType<F>, old: Values | undefined, news: Values): ReturnType<WireResource["check"]> {
  const { values, secrets } = decode(news);
  const { parsed, failures } = parseKnown(type, values);
  if (failures.length > 0) return { inputs: news, failures };
  const inputsKnown = knownOf<F>(parsed);
  const expectations = inputsKnown.unknown.size === 0 ? type.expect(parsed as Parsed<F>) : Object.fromEntries(type.expectations.map((name) => [name, unknown]));
  const hidden = new Set([...secrets, ...(type.expectedFrom.some((name) => secrets.has(name)) ? type.expectations : [])]);
  const inputs = encode({ ...parsed, ...expectations }, hidden);
  const previous = old === undefined ? undefined : parsePrevious(type, old);
  return { inputs, failures: await type.preflight(inputsKnown, previous) };
}

function knownOf<F extends Fields>(parsed: Values): KnownInputs<F> {
  const unknowns = new Set(Object.keys(parsed).filter((name) => holdsUnknown(parsed[name])));
  return { known: Object.fromEntries(Object.entries(parsed).filter(([name]) => !unknowns.has(name))) as Partial<Parsed<F>>, unknown: unknowns };
}

/** Parses each property that is known; an unknown one is checked once it is known, before it is used. */
function parseKnown<F extends Fields>(type: ResourceType<F>, values: Values): { parsed: Record<string, unknown>; failures: CheckFailure[] } {
  const parsed: Record<string, unknown> = {};
  const failures: CheckFailure[] = [];
  const attempt = (read: () => void): void => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      failures.push({ property: error.property, reason: error.problem });
    }
  };
  attempt(() => {
    refuseStrangers(type.fields, values);
  });
  for (const [name, field] of Object.entries(type.fields)) {
    const value = values[name];
    if (holdsUnknown(value)) parsed[name] = value;
    else attempt(() => (parsed[name] = field(value, name)));
  }
  return { parsed, failures };
}

function parse<F extends Fields>(type: ResourceType<F>, values: Values): Parsed<F> {
  return Object.fromEntries(Object.entries(type.fields).map(([name, field]) => [name, field(values[name], name)])) as Parsed<F>;
}

/** Inputs of an older version of this provider may no longer parse; then there is nothing to compare with. */
function parsePrevious<F extends Fields>(type: ResourceType<F>, old: Values): Parsed<F> | undefined {
  const { parsed, failures } = parseKnown(type, Object.fromEntries(Object.entries(decode(old).values).filter(([name]) => Object.hasOwn(type.fields, name))));
  return failures.length > 0 ? undefined : (parsed as Parsed<F>);
}

function diff<F extends Fields>(type: ResourceType<F>, state: Values, inputs: Values): Difference {
  const ignored = new Set<string>([...type.leftOut, ...type.notCompared]);
  const compared = [...Object.keys(type.fields), ...type.expectations].filter((name) => !ignored.has(name));
  const changed = compared.filter((name) => holdsUnknown(inputs[name]) || !isDeepStrictEqual(plain(state[name]), plain(inputs[name])));
  // With a change there is a reason already, and inputs that may not be known yet.
  if (changed.length === 0 && type.aged !== undefined) return { changed: type.aged(parse(type, inputs), state), replaces: [] };
  return { changed, replaces: changed.filter((name) => type.replaceOn.includes(name)) };
}

/** Absent values do not count: the engine drops them on the way through the state. */
function plain(value: unknown): unknown {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as unknown);
}

function foreseen<F extends Fields>(type: ResourceType<F>, { values }: Decoded, state: Values): Values {
  return { ...withoutLeftOut(type, values), ...Object.fromEntries(type.outputs.map((name) => [name, unknown])), ...type.foresee?.(values, state) };
}

function toState<F extends Fields>(type: ResourceType<F>, inputs: Decoded, actual: Values): Values {
  return encode({ ...withoutLeftOut(type, inputs.values), ...actual }, stateSecrets(type, inputs));
}

function stateSecrets<F extends Fields>(type: ResourceType<F>, { secrets }: Decoded): ReadonlySet<string> {
  return new Set([...secrets, ...type.secretOutputs]);
}

function withoutLeftOut<F extends Fields>(type: ResourceType<F>, values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !type.leftOut.includes(name)));
}
