import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";

import { fingerprints, opensshPrivateKey, opensshPublicKey } from "./openssh-keys.ts";

/** The key algorithms of the official provider. */
export const KEY_ALGORITHMS = ["RSA", "ECDSA", "ED25519"] as const;
/** The name of a key algorithm, as inputs and outputs have it. */
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** The curves for ECDSA keys, by the official provider's names, with those of Node and OpenSSL. */
const CURVES = { P224: "secp224r1", P256: "prime256v1", P384: "secp384r1", P521: "secp521r1" } as const;
/** The official provider's names of curves. */
export const CURVE_NAMES = Object.keys(CURVES) as readonly (keyof typeof CURVES)[];

/** A key that cannot be read, or is of a kind that certificates here cannot have. */
export class UnusableKeyError extends Error {
  override readonly name = "UnusableKeyError";
  readonly code = "UNUSABLE_KEY";
}

/**
 * Makes a new private key.
 *
 * @param rsaBits modulus length of an RSA key; unused by others
 * @param ecdsaCurve one of `CURVE_NAMES`; used by ECDSA keys
 */
export function generateKey(algorithm: KeyAlgorithm, rsaBits: number, ecdsaCurve: string): KeyObject {
  switch (algorithm) {
    case "RSA":
      return generateKeyPairSync("rsa", { modulusLength: rsaBits }).privateKey;
    case "ECDSA":
      return generateKeyPairSync("ec", { namedCurve: CURVES[ecdsaCurve as keyof typeof CURVES] }).privateKey;
    case "ED25519":
      return generateKeyPairSync("ed25519").privateKey;
  }
}

/** Reads a private key in PEM form: PKCS #1, SEC 1 or PKCS #8. Never names the key's text in an error. */
export function parseKey(pem: string, property: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new UnusableKeyError(`${property} is not a private key in PEM form`, { cause });
  }
}

/** The algorithm's name of a private key. */
export function algorithmOf(key: KeyObject): KeyAlgorithm {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return "RSA";
    case "ec":
      return "ECDSA";
    case "ed25519":
      return "ED25519";
    default:
      throw new UnusableKeyError(`a key of type ${String(key.asymmetricKeyType)} is not supported: use one of ${KEY_ALGORITHMS.join(", ")}`);
  }
}

/** What the state of a PrivateKey says of its key, in all its forms. Every PEM and OpenSSH text ends with a newline. */
export function describeKey(key: KeyObject) {
  const publicKey = createPublicKey(key);
  const spki = publicKey.export({ type: "spki", format: "der" });
  const openssh = opensshPublicKey(publicKey);
  return {
    id: createHash("sha1").update(spki).digest("hex"),
    privateKeyPem: traditionalPem(key),
    privateKeyPemPkcs8: key.export({ type: "pkcs8", format: "pem" }).toString(),
    privateKeyOpenssh: opensshPrivateKey(key),
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    publicKeyOpenssh: openssh === undefined ? "" : `${openssh.type} ${openssh.blob.toString("base64")}\n`,
    ...fingerprints(openssh?.blob),
  };
}

/** PKCS #1 for RSA, SEC 1 for ECDSA; ED25519 has PKCS #8 only. */
function traditionalPem(key: KeyObject): string {
  switch (algorithmOf(key)) {
    case "RSA":
      return key.export({ type: "pkcs1", format: "pem" }).toString();
    case "ECDSA":
      return key.export({ type: "sec1", format: "pem" }).toString();
    case "ED25519":
      return key.export({ type: "pkcs8", format: "pem" }).toString();
  }
}
