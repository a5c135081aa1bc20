import "reflect-metadata";

import { createHash, createPublicKey, type KeyObject, randomBytes, type webcrypto } from "node:crypto";

import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  type Name,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

import { EXTENDED_KEY_USAGES, KEY_USAGES } from "./allowed-uses.ts";
import { algorithmOf, UnusableKeyError } from "./private-keys.ts";

/** A certificate or request in PEM form that cannot be read, or cannot serve as what it is given for. */
export class UnusableCertificateError extends Error {
  override readonly name = "UnusableCertificateError";
  readonly code = "UNUSABLE_CERTIFICATE";
}

/** What a certificate is to say, apart from who signs it. */
export interface CertificateTemplate {
  readonly subject: Name;
  readonly alternativeNames: readonly JsonGeneralName[];
  /** The certified key, as a SubjectPublicKeyInfo structure in DER. */
  readonly publicKey: Buffer;
  readonly allowedUses: readonly string[];
  readonly isCa: boolean;
  /** Of a CA: how many intermediate certificates may follow; negative for any number. */
  readonly maxPathLength: number;
  readonly setSubjectKeyId: boolean;
  readonly notBefore: Date;
  readonly validityHours: number;
}

/** Who signs a certificate. The key identifier is that of the signer's certificate, in hex; absent if it has none. */
export interface Issuer {
  readonly name: Name;
  readonly key: KeyObject;
  readonly keyId: string | undefined;
}

/** A certificate that has been made. */
export interface IssuedCertificate {
  /** In decimal digits. */
  readonly serialNumber: string;
  /** PEM, with a newline at its end. */
  readonly pem: string;
  readonly notAfter: Date;
}

/** Signs a certificate. Extensions, their order and which are critical are as Go's crypto/x509 has them. */
export async function issueCertificate(template: CertificateTemplate, issuer: Issuer): Promise<IssuedCertificate> {
  const notAfter = new Date(template.notBefore.getTime() + template.validityHours * 3_600_000);
  const serialNumber = randomBytes(16);
  serialNumber[0]! &= 0x7f; // a positive integer takes no more than these 16 bytes
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber.toString("hex"),
    subject: template.subject,
    issuer: issuer.name,
    notBefore: template.notBefore,
    notAfter,
    publicKey: template.publicKey,
    signingKey: await signingKey(issuer.key),
    signingAlgorithm: signingAlgorithm(issuer.key),
    extensions: certificateExtensions(template, issuer.keyId),
  });
  return { serialNumber: BigInt(`0x${serialNumber.toString("hex")}`).toString(), pem: withNewline(certificate.toString("pem")), notAfter };
}

/** Makes a certificate signing request; PEM, with a newline at its end. */
export async function createRequest(key: KeyObject, subject: Name, alternativeNames: readonly JsonGeneralName[]): Promise<string> {
  const publicKey = await crypto.subtle.importKey("spki", publicKeyDer(key), webCryptoAlgorithm(key), true, ["verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys: { privateKey: await signingKey(key), publicKey },
    signingAlgorithm: signingAlgorithm(key),
    extensions: alternativeNames.length === 0 ? [] : [alternativeNameExtension(subject, alternativeNames)],
  });
  return withNewline(request.toString("pem"));
}

/** Reads a certificate signing request in PEM form. */
export function parseRequest(pem: string): { subject: Name; alternativeNames: JsonGeneralName[]; publicKey: Buffer } {
  const request = parsePem(pem, "CERTIFICATE REQUEST", "certRequestPem", (text) => new Pkcs10CertificateRequest(text));
  const extension = request.extensions.find((candidate) => candidate instanceof SubjectAlternativeNameExtension);
  return {
    subject: request.subjectName,
    alternativeNames: extension?.names.toJSON().filter(({ type }) => type === "dns" || type === "ip" || type === "url") ?? [],
    publicKey: Buffer.from(request.publicKey.rawData),
  };
}

/** The name and key identifier of a CA's certificate in PEM form. */
export function parseIssuer(pem: string): { name: Name; keyId: string | undefined } {
  const certificate = parsePem(pem, "CERTIFICATE", "caCertPem", (text) => new X509Certificate(text));
  return { name: certificate.subjectName, keyId: certificate.getExtension(SubjectKeyIdentifierExtension)?.keyId };
}

/** The public half of a key, as a SubjectPublicKeyInfo structure in DER. */
export function publicKeyDer(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

/** The identifier of a public key: the SHA-1 hash of the key's bits, in hex (RFC 5280 section 4.2.1.2, method 1). */
export function subjectKeyId(spki: Buffer): string {
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  return createHash("sha1").update(keyBits(key, spki)).digest("hex");
}

function keyBits(key: KeyObject, spki: Buffer): Buffer {
  if (key.asymmetricKeyType === "rsa") return key.export({ type: "pkcs1", format: "der" });
  // An uncompressed point is 0x04 and two coordinates; an Ed25519 key is 32 bytes, hashed as an OCTET STRING.
  if (key.asymmetricKeyType === "ed25519") return Buffer.concat([Buffer.from([0x04, 0x20]), spki.subarray(-32)]);
  const coordinate = Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url").length;
  return spki.subarray(-(2 * coordinate + 1));
}

function certificateExtensions(template: CertificateTemplate, issuerKeyId: string | undefined): Extension[] {
  const pathLength = template.isCa && template.maxPathLength >= 0 ? template.maxPathLength : undefined;
  const extensions = [
    keyUsage(template.allowedUses),
    extendedKeyUsage(template.allowedUses),
    new BasicConstraintsExtension(template.isCa, pathLength, true),
    template.isCa || template.setSubjectKeyId ? new SubjectKeyIdentifierExtension(subjectKeyId(template.publicKey)) : undefined,
    issuerKeyId === undefined ? undefined : new AuthorityKeyIdentifierExtension(issuerKeyId),
    template.alternativeNames.length === 0 ? undefined : alternativeNameExtension(template.subject, template.alternativeNames),
  ];
  return extensions.filter((extension) => extension !== undefined);
}

/** Critical where the subject is empty, because the names are all there is then (RFC 5280 section 4.2.1.6). */
function alternativeNameExtension(subject: Name, names: readonly JsonGeneralName[]): Extension {
  return new SubjectAlternativeNameExtension([...names], subject.toJSON().length === 0);
}

function signingKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: "pkcs8", format: "der" });
  return crypto.subtle.importKey("pkcs8", der, webCryptoAlgorithm(key), false, ["sign"]);
}

function webCryptoAlgorithm(key: KeyObject): { name: string; namedCurve?: string; hash?: string } {
  switch (algorithmOf(key)) {
    case "RSA":
      return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    case "ECDSA":
      return { name: "ECDSA", namedCurve: curveOf(key) };
    case "ED25519":
      return { name: "Ed25519" };
  }
}

/** The hash that goes with a key by Go's choice: that of the curve's own strength. */
function signingAlgorithm(key: KeyObject): { name: string; hash: string } {
  const hashes: Readonly<Record<string, string>> = { "P-256": "SHA-256", "P-384": "SHA-384", "P-521": "SHA-512" };
  const { name } = webCryptoAlgorithm(key);
  return { name, hash: algorithmOf(key) === "ECDSA" ? hashes[curveOf(key)]! : "SHA-256" };
}

function curveOf(key: KeyObject): string {
  const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
  const named = key.asymmetricKeyDetails?.namedCurve ?? "";
  const curve = curves[named];
  if (curve === undefined) {
    throw new UnusableKeyError(`this build of the tls plugin signs nothing with a key on the curve ${named}: set ecdsaCurve to P256, P384 or P521`);
  }
  return curve;
}

function parsePem<T>(pem: string, label: string, property: string, parse: (pem: string) => T): T {
  if (!pem.includes(`-----BEGIN ${label}-----`)) throw new UnusableCertificateError(`${property} is not PEM text of type ${label}`);
  try {
    return parse(pem);
  } catch (cause) {
    throw new UnusableCertificateError(`${property} cannot be read as a ${label.toLowerCase()}`, { cause });
  }
}

function withNewline(pem: string): string {
  return pem.endsWith("\n") ? pem : `${pem}\n`;
}

/** The keyUsage extension (critical) of a list of uses; undefined means that the certificate has none. */
function keyUsage(uses: readonly string[]): KeyUsagesExtension | undefined {
  const flags = uses.reduce<number>((bits, use) => {
    const name = KEY_USAGES[use];
    return name === undefined ? bits : bits | KeyUsageFlags[name];
  }, 0);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a set of flags is a number that the enum does not name
  return flags === 0 ? undefined : new KeyUsagesExtension(flags, true);
}

/** The extendedKeyUsage extension of a list of uses, in its order; undefined means that the certificate has none. */
function extendedKeyUsage(uses: readonly string[]): ExtendedKeyUsageExtension | undefined {
  const purposes = uses.flatMap((use) => EXTENDED_KEY_USAGES[use] ?? []);
  return purposes.length === 0 ? undefined : new ExtendedKeyUsageExtension(purposes, false);
}
