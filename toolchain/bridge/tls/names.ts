import { isIP } from "node:net";

import { type JsonGeneralName, Name } from "@peculiar/x509";

import type { Properties } from "../lib/properties.ts";

/** The parts of a subject in the order in which Go's crypto/x509 writes them, with their object identifiers. */
const SUBJECT_PARTS: readonly (readonly [property: string, oid: string])[] = [
  ["country", "2.5.4.6"],
  ["organization", "2.5.4.10"],
  ["organizationalUnit", "2.5.4.11"],
  ["locality", "2.5.4.7"],
  ["province", "2.5.4.8"],
  ["streetAddresses", "2.5.4.9"],
  ["postalCode", "2.5.4.17"],
  ["commonName", "2.5.4.3"],
  ["serialNumber", "2.5.4.5"],
  ["emailAddress", "1.2.840.113549.1.9.1"],
];

const EMAIL_ADDRESS_OID = "1.2.840.113549.1.9.1";

/** A name that cannot stand in a certificate. */
export class InvalidNameError extends Error {
  override readonly name = "InvalidNameError";
  readonly code = "INVALID_NAME";
}

/** The distinguished name of a `subject` input; empty without one. */
export function subjectName(subject: Properties): Name {
  const parts = SUBJECT_PARTS.flatMap(([property, oid]) => {
    const value = subject[property];
    const texts = (Array.isArray(value) ? value : [value]).filter((text): text is string => typeof text === "string" && text !== "");
    // Several street addresses are one relative name of several values, as Go writes them.
    return texts.length === 0 ? [] : [{ [oid]: texts.map((text) => attributeValue(oid, text)) }];
  });
  return new Name(parts);
}

/** The strings of a list of names as entries of a subjectAltName extension, in the order in which Go writes them. */
export function alternativeNames(dnsNames: readonly string[], ipAddresses: readonly string[], uris: readonly string[]): JsonGeneralName[] {
  for (const address of ipAddresses) {
    if (isIP(address) === 0) throw new InvalidNameError(`ipAddresses: ${JSON.stringify(address)} is not an IP address, such as 10.0.0.1 or 2001:db8::1`);
  }
  for (const uri of uris) {
    if (!URL.canParse(uri)) throw new InvalidNameError(`uris: ${JSON.stringify(uri)} is not a URI with a scheme, such as https://example.com/`);
  }
  return [
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
    ...uris.map((value) => ({ type: "url" as const, value })),
  ];
}

/** The string type that Go's encoding/asn1 would choose: PrintableString where the text allows it. */
function attributeValue(oid: string, text: string): Record<string, string> {
  if (oid === EMAIL_ADDRESS_OID) return { ia5String: text };
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text) ? { printableString: text } : { utf8String: text };
}
