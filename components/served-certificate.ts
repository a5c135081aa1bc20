import type { X509Certificate } from "node:crypto";
import type { Finding } from "./drift.ts";

/**
 * Compares the certificate that a program serves with the declared one, by fingerprint, and says what the other one is.
 * @param now for the days that are left
 */
export function compareCertificate(declared: X509Certificate, served: X509Certificate, now: Date): Finding[] {
  if (declared.fingerprint256 === served.fingerprint256) return [];
  return [{ thing: "served certificate", declared: describe(declared, now), actual: describe(served, now), mend: "live" }];
}

const useNames: Readonly<Record<string, string>> = {
  // RFC 5280, 4.2.1.12
  "1.3.6.1.5.5.7.3.1": "server_auth",
  "1.3.6.1.5.5.7.3.2": "client_auth",
};

const dayMs = 86_400_000;

function describe(certificate: X509Certificate, now: Date): string {
  // Node names the extended key usages `keyUsage`; it is undefined where there are none, whatever the types say.
  const uses = (certificate.keyUsage as string[] | undefined) ?? [];
  const days = Math.floor((certificate.validToDate.getTime() - now.getTime()) / dayMs);
  const fingerprint = certificate.fingerprint256.replaceAll(":", "").slice(0, 12).toLowerCase();
  return `${fingerprint}… of ${certificate.issuer.replaceAll("\n", ", ")}, for ${uses.map((use) => useNames[use] ?? use).join(" and ") || "any use"}, ${days} days left`;
}
