import { changesOf } from "../lib/changes.ts";
import { type Properties, type PropertyValue, revealAll, secret, UNKNOWN } from "../lib/properties.ts";
import type { InputFailure, ResourceType } from "../lib/resource-type.ts";
import { CURVE_NAMES, describeKey, generateKey, KEY_ALGORITHMS, type KeyAlgorithm } from "./private-keys.ts";

const INPUTS = ["algorithm", "ecdsaCurve", "rsaBits"];
/** What the official provider's state holds where an input is not given, whatever the algorithm. */
const DEFAULTS = { ecdsaCurve: "P224", rsaBits: 2048 } as const;
const SECRET_OUTPUTS = new Set(["privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"]);
const COMPUTED_OUTPUTS = [
  "privateKeyOpenssh",
  "privateKeyPem",
  "privateKeyPemPkcs8",
  "publicKeyFingerprintMd5",
  "publicKeyFingerprintSha256",
  "publicKeyOpenssh",
  "publicKeyPem",
];
/** The Terraform schema's version, which the official provider keeps in the state to know when to convert it. */
const META = JSON.stringify({ schema_version: "1" });

/** `tls:index/privateKey:PrivateKey`: a private key that is made once and lives in the state. Any change makes a new one. */
export const privateKeyResource: ResourceType = {
  check(inputs) {
    const plain = revealAll(inputs);
    const failures: InputFailure[] = [];
    requireOneOf(failures, plain, "algorithm", KEY_ALGORITHMS);
    requireOneOf(failures, { ...DEFAULTS, ...plain }, "ecdsaCurve", CURVE_NAMES);
    const { rsaBits } = { ...DEFAULTS, ...plain } as Properties;
    if (rsaBits !== UNKNOWN && !(typeof rsaBits === "number" && Number.isInteger(rsaBits) && rsaBits >= 1024)) {
      failures.push({ property: "rsaBits", reason: `rsaBits is ${JSON.stringify(rsaBits)}: give a whole number of at least 1024` });
    }
    return { inputs: plain, failures };
  },
  diff: (state, inputs) => changesOf(INPUTS, state.outputs, { ...DEFAULTS, ...revealAll(inputs) }, () => true),
  create(_identity, inputs, preview) {
    const plain: Properties = { ...DEFAULTS, ...revealAll(inputs) };
    if (preview) {
      const unknown = Object.fromEntries(COMPUTED_OUTPUTS.map((name) => [name, UNKNOWN]));
      return Promise.resolve({ id: "", outputs: markSecrets({ ...plain, ...unknown, id: UNKNOWN }) });
    }
    const described = describeKey(generateKey(plain.algorithm as KeyAlgorithm, plain.rsaBits as number, plain.ecdsaCurve as string));
    return Promise.resolve({ id: described.id, outputs: markSecrets({ __meta: META, ...plain, ...described }) });
  },
  read: (state) => markSecrets(state.outputs),
  update: (_identity, state) => Promise.resolve(markSecrets(state.outputs)),
  delete: () => Promise.resolve(),
};

function requireOneOf(failures: InputFailure[], inputs: Properties, property: string, allowed: readonly string[]): void {
  const value: PropertyValue | undefined = inputs[property];
  if (value === UNKNOWN || (typeof value === "string" && allowed.includes(value))) return;
  failures.push({ property, reason: `${property} is ${JSON.stringify(value ?? null)}: give one of ${allowed.join(", ")}` });
}

function markSecrets(outputs: Properties): Properties {
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, SECRET_OUTPUTS.has(name) ? secret(value) : value]));
}
