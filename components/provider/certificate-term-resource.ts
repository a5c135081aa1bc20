import type { Finding } from "../drift.ts";
import { integer, sha256, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { renewAt } from "../renewal.ts";
import type { ResourceType } from "./resource-type.ts";
import type { Values } from "./wire.ts";

const hourMs = 3_600_000;

const fields = {
  /** Whose certificate it is, for people. */
  subject: text,
  /** How long the certificate is valid. */
  validityHours: integer(1, 876_000),
  /** Hash of the authority that signs it: another one begins another term. */
  authority: sha256,
  /** Any text; another one begins another term. */
  revision: withDefault(text, "1"),
};

type Inputs = Parsed<typeof fields>;

/**
 * The term of one certificate: it begins anew whenever the certificate is to be made anew, by declaration or because its end
 * comes near. Whoever makes the certificate takes `begun` for a reason to do so.
 * @param now the clock; a test has another one
 */
export function certificateTermResource(now: () => Date = () => new Date()): ResourceType<typeof fields> {
  const begin = (): Promise<Values> => Promise.resolve({ begun: now().toISOString(), drift: [] });
  return {
    fields,
    leftOut: [],
    notCompared: ["subject"],
    replaceOn: [],
    outputs: ["begun"],
    secretOutputs: [],
    expectations: ["drift"],
    expectedFrom: [],
    expect: () => ({ drift: [] }),
    // Also without a refresh: time goes by whether or not somebody looks.
    aged: (inputs, state) => (findingsOf(inputs, state, now()).length > 0 ? ["drift"] : []),
    preflight: () => Promise.resolve([]),
    // It is nothing in the world that would have a name of its own there.
    identify: ({ subject }) => subject,
    create: begin,
    read: (inputs, state) => Promise.resolve({ begun: state["begun"], drift: findingsOf(inputs, state, now()) }),
    update: begin,
    delete: () => Promise.resolve(),
  };
}

function findingsOf({ subject, validityHours }: Inputs, state: Values, now: Date): Finding[] {
  const begun = new Date(String(state["begun"]));
  const notAfter = new Date(begun.getTime() + validityHours * hourMs);
  const due = renewAt(begun, notAfter);
  if (now < due) return [];
  return [{ thing: `certificate of ${subject}`, declared: `renewed by ${day(due)}`, actual: `of ${day(begun)}, valid until ${day(notAfter)}`, since: due.toISOString(), mend: "renew" }];
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
