import { changesOf } from "../lib/changes.ts";
import { type Properties, reveal, revealAll, secret, UNKNOWN, withoutNulls } from "../lib/properties.ts";
import type { InputFailure, PropertyChange, ResourceState, ResourceType } from "../lib/resource-type.ts";
import { ALLOWED_USES } from "./allowed-uses.ts";

/** What tells the kinds of certificate resources apart. */
export interface CertificateKind {
  /** Inputs that must be given. */
  readonly required: readonly string[];
  readonly optional: readonly string[];
  /** What the official provider's state holds where an input is not given. */
  readonly defaults: Properties;
  /** The input, and output, that is a private key. */
  readonly keyInput: string;
  /** Inputs in PEM form. Old states hold a hash in their place, which is no reason to replace the resource. */
  readonly pemInputs: readonly string[];
  /** Outputs known only after creation. */
  readonly computed: readonly string[];
  /** Makes the certificate or request; returns its computed outputs. */
  readonly issue: (inputs: Properties) => Promise<{ readonly id: string } & Properties>;
}

const HOUR_MS = 3_600_000;
const PEM = /^-----BEGIN [A-Za-z ]+-----\n[^]+\n-----END [A-Za-z ]+-----\n?$/;
/** The one input whose change needs no new certificate. */
const UPDATED_IN_PLACE = "earlyRenewalHours";

/** Makes the resource type of a kind of certificate. Its resources exist in the state only, so reading is looking at the clock. */
export function certificateResource(kind: CertificateKind): ResourceType {
  const names = [...kind.required, ...kind.optional];
  const marked = (outputs: Properties): Properties => (kind.keyInput in outputs ? { ...outputs, [kind.keyInput]: secret(outputs[kind.keyInput]!) } : outputs);
  const planned = (inputs: Properties): Properties => ({ ...kind.defaults, ...revealAll(inputs) });

  return {
    check(inputs) {
      const plain = revealAll(inputs);
      return { inputs: marked(plain), failures: inputFailures(kind, names, plain) };
    },
    diff(state, inputs) {
      const wanted = planned(inputs);
      const changes = changesOf(names, state.outputs, wanted, (name) => replaces(kind, name, state));
      return dueForRenewal(state.outputs, wanted) ? { ...changes, ...RENEWAL } : changes;
    },
    async create(_identity, inputs, preview) {
      const wanted = planned(inputs);
      if (preview) {
        const unknown = Object.fromEntries(kind.computed.map((name) => [name, UNKNOWN]));
        return { id: "", outputs: marked({ ...wanted, ...unknown, id: UNKNOWN }) };
      }
      const issued = await kind.issue(wanted);
      return { id: issued.id, outputs: marked({ ...wanted, ...issued }) };
    },
    read: (state) => marked(dueForRenewal(state.outputs, state.outputs) ? { ...state.outputs, readyForRenewal: true } : state.outputs),
    update(_identity, state, inputs) {
      const kept = Object.fromEntries(Object.entries(state.outputs).filter(([name]) => !names.includes(name)));
      return Promise.resolve(marked(withoutNulls({ ...kept, ...planned(inputs) })));
    },
    delete: () => Promise.resolve(),
  };
}

const RENEWAL: Readonly<Record<string, PropertyChange>> = { readyForRenewal: { kind: "update", replace: true } };

function replaces(kind: CertificateKind, name: string, state: ResourceState): boolean {
  if (name === UPDATED_IN_PLACE) return false;
  const before = reveal(state.outputs[name] ?? null);
  return !kind.pemInputs.includes(name) || before === null || (typeof before === "string" && PEM.test(before));
}

/** Whether the certificate has ended, or ends within the hours given by `earlyRenewalHours`. */
function dueForRenewal(state: Properties, wanted: Properties): boolean {
  if (typeof state.validityEndTime !== "string" || typeof wanted.earlyRenewalHours !== "number") return false;
  return Date.parse(state.validityEndTime) - wanted.earlyRenewalHours * HOUR_MS <= Date.now();
}

function inputFailures(kind: CertificateKind, names: readonly string[], inputs: Properties): InputFailure[] {
  const failures: InputFailure[] = [];
  for (const property of kind.required) {
    if (inputs[property] === undefined) failures.push({ property, reason: `${property} is missing` });
  }
  for (const property of Object.keys(inputs)) {
    if (property.endsWith("Wo") || property.endsWith("WoVersion")) {
      failures.push({ property, reason: `${property} needs the official tls plugin, which this toolchain stands in for: use ${kind.keyInput}` });
    } else if (!names.includes(property)) {
      failures.push({ property, reason: `there is no input ${property}; the inputs are ${names.join(", ")}` });
    }
  }
  const uses = inputs.allowedUses;
  if (Array.isArray(uses)) {
    for (const use of uses as readonly unknown[]) {
      if (use === UNKNOWN || (typeof use === "string" && ALLOWED_USES.includes(use))) continue;
      failures.push({ property: "allowedUses", reason: `allowedUses has ${JSON.stringify(use)}: its values are ${ALLOWED_USES.join(", ")}` });
    }
  }
  for (const property of ["validityPeriodHours", UPDATED_IN_PLACE]) {
    const hours = inputs[property];
    if (hours === undefined || hours === UNKNOWN || (typeof hours === "number" && Number.isInteger(hours) && hours >= 0)) continue;
    failures.push({ property, reason: `${property} is ${JSON.stringify(hours)}: give a whole number of hours, 0 or more` });
  }
  return failures;
}
