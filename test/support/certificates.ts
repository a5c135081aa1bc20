import { authorityKinds, authorityUses, leafUses } from "../../components/certificate-profile.ts";
import type { AuthorityKind } from "../../components/certificate-profile.ts";
import { makeTestCertificate } from "./certificate.ts";
import type { TestCertificate, TestCertificateOptions } from "./certificate.ts";

/** The five authorities of the split CA, made for one test. */
export type TestAuthorities = Readonly<Record<AuthorityKind, TestCertificate>>;

/** Makes all five authorities, each with the extended key usages of its kind. */
export async function makeAuthorities(): Promise<TestAuthorities> {
  const made = await Promise.all(
    authorityKinds.map(async (kind) => [kind, await makeTestCertificate({ commonName: `test ${kind} CA`, ca: true, extendedUses: extendedUses(authorityUses(kind)) })] as const),
  );
  return Object.fromEntries(made) as Record<AuthorityKind, TestCertificate>;
}

/** Makes a leaf as the authority of this kind gives it, for 127.0.0.1 and localhost where it is a server's. */
export async function makeLeaf(
  authorities: TestAuthorities,
  kind: AuthorityKind,
  options: Omit<TestCertificateOptions, "issuer" | "ca" | "extendedUses">,
): Promise<TestCertificate> {
  const uses = extendedUses(leafUses(kind));
  const names = uses.includes("server_auth") ? { ipAddresses: ["127.0.0.1"], dnsNames: ["localhost"] } : {};
  return makeTestCertificate({ ...names, ...options, issuer: authorities[kind], extendedUses: uses });
}

/**
 * Makes a user's certificate: the common name is the user, each organization a role.
 * @param databaseUser the Redis user that its sessions are for; without one the first AUTH names it
 */
export async function makeUserCertificate(authorities: TestAuthorities, roles: readonly string[] = ["access"], databaseUser?: string): Promise<TestCertificate> {
  const uris = databaseUser === undefined ? [] : [`redis-access:db-user:${databaseUser}`];
  return makeLeaf(authorities, "user", { commonName: "tester", organizations: roles, uris });
}

function extendedUses(uses: readonly string[]): ("server_auth" | "client_auth")[] {
  return uses.filter((use) => use === "server_auth" || use === "client_auth");
}
