import { X509Certificate } from "node:crypto";
import { CertificateProfileError, checkAuthority } from "./certificate-profile.ts";

/**
 * The text of `pem-bundle.cas`, what a Redis node trusts: the Redis CA, then the db_client CA. While one is rotated, the old one
 * and then the new one stand in its place.
 * @throws {CertificateProfileError} one is not one CA certificate of its kind, or two are the same
 */
export function renderPemBundle(redisCaPems: readonly string[], dbClientCaPems: readonly string[]): string {
  for (const pem of redisCaPems) checkAuthority(pem, "redis");
  for (const pem of dbClientCaPems) checkAuthority(pem, "db_client");
  return joinCertificates([...redisCaPems, ...dbClientCaPems]);
}

/**
 * Several CA certificates as one PEM file, in the given order, each ended by exactly one line break.
 * @throws {CertificateProfileError} a part that is not exactly one certificate, or the same certificate twice
 */
export function joinCertificates(pems: readonly string[]): string {
  const seen = new Set<string>();
  return pems
    .map((pem) => {
      const certificate = new X509Certificate(pem);
      // X509Certificate reads the first block and ignores the rest: a second authority would slip in unseen.
      if (pem.split("-----BEGIN ").length !== 2) throw new CertificateProfileError(certificate.subject, "stands in a text with more than one PEM block");
      if (seen.has(certificate.fingerprint256)) throw new CertificateProfileError(certificate.subject, "stands in the bundle twice");
      seen.add(certificate.fingerprint256);
      return `${pem.trim()}\n`;
    })
    .join("");
}
