import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { DeclarationError } from "./declaration-error.ts";
import { InvalidValueError } from "./invalid-value-error.ts";

/** The five authorities of the split CA. */
export const authorityKinds = ["redis", "db", "db_client", "user", "proxy"] as const;

/** One of the five authorities of the split CA. */
export type AuthorityKind = (typeof authorityKinds)[number];

/** Key usages by the names that `@pulumi/tls` gives them. */
export type AllowedUse = "cert_signing" | "crl_signing" | "digital_signature" | "server_auth" | "client_auth";

/** Extended key usages: what a certificate may be shown for in a TLS handshake. */
export type ExtendedUse = Extract<AllowedUse, "server_auth" | "client_auth">;

/**
 * Extended key usages of each authority's own certificate.
 * A Redis node trusts everything in its bundle for peers as well: a db_client leaf without extended key usage is accepted
 * as a master (tried with 7.0.15). The usage on the authority itself holds even where a leaf was signed without one;
 * OpenSSL applies it to all that the authority signs. The Redis CA has none, because its leaves are servers and clients.
 */
const authorityExtendedUses: Readonly<Record<AuthorityKind, readonly ExtendedUse[]>> = {
  redis: [],
  db: ["server_auth"],
  db_client: ["client_auth"],
  user: ["client_auth"],
  proxy: ["server_auth"],
};

const leafExtendedUses: Readonly<Record<AuthorityKind, readonly ExtendedUse[]>> = {
  redis: ["server_auth", "client_auth"],
  db: ["server_auth"],
  db_client: ["client_auth"],
  user: ["client_auth"],
  proxy: ["server_auth"],
};

/** `allowedUses` of an authority's certificate. `@pulumi/tls` sets no usage at all when it is told none. */
export function authorityUses(kind: AuthorityKind): AllowedUse[] {
  return ["cert_signing", "crl_signing", "digital_signature", ...authorityExtendedUses[kind]];
}

/** `allowedUses` of a leaf that the authority signs. Keys are ECDSA, so no key encipherment. */
export function leafUses(kind: AuthorityKind): AllowedUse[] {
  return ["digital_signature", ...leafExtendedUses[kind]];
}

/** Whether the authority signs certificates that are shown by servers; the others are shown by clients only. */
export function signsServers(kind: AuthorityKind): boolean {
  return leafExtendedUses[kind].includes("server_auth");
}

const extendedUseOid: Readonly<Record<ExtendedUse, string>> = {
  // RFC 5280, 4.2.1.12
  server_auth: "1.3.6.1.5.5.7.3.1",
  client_auth: "1.3.6.1.5.5.7.3.2",
};

/** A certificate that was made but is not what its kind must be; it is never handed on. */
export class CertificateProfileError extends DeclarationError {
  override readonly code = "CERTIFICATE_PROFILE";

  constructor(subject: string, problem: string) {
    super(`certificate ${JSON.stringify(subject)}: ${problem}`);
    this.name = "CertificateProfileError";
  }
}

/** A hundred years: what is beyond is a mistake in the unit. */
const longestValidityHours = 876_000;

/**
 * Checks how long a certificate is to be valid, where that is known while the program runs.
 * @throws {InvalidValueError}
 */
export function checkValidityHours(hours: unknown): void {
  if (typeof hours !== "number" || (Number.isInteger(hours) && hours >= 1 && hours <= longestValidityHours)) return;
  throw new InvalidValueError("validityHours", `is ${hours}; expected a whole number from 1 to ${longestValidityHours}`);
}

/** What a leaf must show besides its kind. */
export interface LeafExpectation {
  readonly kind: AuthorityKind;
  /** PEM of the authority that must have signed it. */
  readonly authorityPem: string;
  readonly ipAddresses?: readonly string[];
  readonly dnsNames?: readonly string[];
}

/**
 * Checks a certificate authority that was just made: a CA, signed by itself, with exactly its kind's extended key usages.
 * @returns the same PEM, so that only a checked certificate goes further
 * @throws {CertificateProfileError}
 */
export function checkAuthority(pem: string, kind: AuthorityKind): string {
  const certificate = parse(pem);
  if (!certificate.ca) throw new CertificateProfileError(certificate.subject, "is not a certificate authority");
  checkSignedBy(certificate, certificate);
  checkExtendedUses(certificate, authorityExtendedUses[kind]);
  return pem;
}

/**
 * Checks a leaf that was just made: no CA, signed by its authority, exactly its kind's extended key usages, the names asked for.
 * @returns the same PEM, so that only a checked certificate goes further
 * @throws {CertificateProfileError}
 */
export function checkLeaf(pem: string, expected: LeafExpectation): string {
  const certificate = parse(pem);
  if (certificate.ca) throw new CertificateProfileError(certificate.subject, "is a certificate authority; expected a leaf");
  checkSignedBy(certificate, parse(expected.authorityPem));
  checkExtendedUses(certificate, leafExtendedUses[expected.kind]);
  checkNames(certificate, expected);
  return pem;
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new CertificateProfileError("?", `is not a PEM certificate (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}

function checkSignedBy(certificate: X509Certificate, authority: X509Certificate): void {
  // checkIssued compares names and identifiers only; verify is the signature itself.
  if (certificate.checkIssued(authority) && certificate.verify(authority.publicKey)) return;
  throw new CertificateProfileError(certificate.subject, `is not signed by ${JSON.stringify(authority.subject)}`);
}

function checkExtendedUses(certificate: X509Certificate, expected: readonly ExtendedUse[]): void {
  // Node names the extended key usages `keyUsage`; it is undefined where the certificate has none, whatever the types say.
  const found = [...((certificate.keyUsage as string[] | undefined) ?? [])].sort();
  const wanted = expected.map((use) => extendedUseOid[use]).sort();
  if (found.join() === wanted.join()) return;
  throw new CertificateProfileError(
    certificate.subject,
    `has extended key usages [${found.join(", ")}]; expected exactly [${wanted.join(", ")}] (${expected.join(", ") || "none"})`,
  );
}

function checkNames(certificate: X509Certificate, { ipAddresses = [], dnsNames = [] }: LeafExpectation): void {
  for (const ip of ipAddresses) {
    if (isIP(ip) === 0 || certificate.checkIP(ip) === undefined) {
      throw new CertificateProfileError(certificate.subject, `does not name the IP address ${ip}`);
    }
  }
  for (const name of dnsNames) {
    if (certificate.checkHost(name, { subject: "never" }) === undefined) {
      throw new CertificateProfileError(certificate.subject, `does not name the host ${name}`);
    }
  }
}
