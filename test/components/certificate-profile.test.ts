import assert from "node:assert/strict";
import { before, test } from "node:test";
import { CertificateProfileError, authorityUses, checkAuthority, checkLeaf, leafUses } from "../../components/certificate-profile.ts";
import type { AuthorityKind } from "../../components/certificate-profile.ts";
import { joinCertificates, renderPemBundle } from "../../components/pem-bundle.ts";
import { makeTestCertificate } from "../support/certificate.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { assertGolden, readGolden } from "./support/golden.ts";

let redisCa: TestCertificate;
let dbClientCa: TestCertificate;
let unmarkedDbClientCa: TestCertificate;

before(async () => {
  redisCa = await makeTestCertificate({ commonName: "redis", ca: true });
  dbClientCa = await makeTestCertificate({ commonName: "db_client", ca: true, extendedUses: ["client_auth"] });
  unmarkedDbClientCa = await makeTestCertificate({ commonName: "db_client", ca: true });
});

test("only the Redis CA signs certificates for both sides; each other authority and its leaves have one side only", () => {
  const sides = (uses: string[]): string[] => uses.filter((use) => use.endsWith("_auth"));
  const expected: Record<AuthorityKind, [authority: string[], leaf: string[]]> = {
    redis: [[], ["server_auth", "client_auth"]],
    db: [["server_auth"], ["server_auth"]],
    db_client: [["client_auth"], ["client_auth"]],
    user: [["client_auth"], ["client_auth"]],
    proxy: [["server_auth"], ["server_auth"]],
  };
  for (const [kind, [authority, leaf]] of Object.entries(expected) as [AuthorityKind, [string[], string[]]][]) {
    assert.deepEqual(sides(authorityUses(kind)), authority);
    assert.deepEqual(sides(leafUses(kind)), leaf);
    assert.ok(!leafUses(kind).includes("cert_signing"));
  }
});

test("an authority passes as its own kind only", () => {
  assert.equal(checkAuthority(dbClientCa.certPem, "db_client"), dbClientCa.certPem);
  assert.throws(() => checkAuthority(dbClientCa.certPem, "redis"), CertificateProfileError);
  assert.throws(() => checkAuthority(redisCa.certPem, "db_client"), /extended key usages \[\]; expected exactly \[1\.3\.6\.1\.5\.5\.7\.3\.2\]/);
});

test("a db_client CA without client_auth is refused, because a node would take its leaves for peers", () => {
  assert.throws(() => checkAuthority(unmarkedDbClientCa.certPem, "db_client"), CertificateProfileError);
  assert.throws(() => renderPemBundle([redisCa.certPem], [unmarkedDbClientCa.certPem]), CertificateProfileError);
});

test("a node leaf passes with both sides and the IP address asked for, and nothing less", async () => {
  const node = { commonName: "node", issuer: redisCa, ipAddresses: ["127.0.0.1"], extendedUses: ["server_auth", "client_auth"] } as const;
  const expected = { kind: "redis", authorityPem: redisCa.certPem, ipAddresses: ["127.0.0.1"] } as const;
  const { certPem } = await makeTestCertificate(node);
  assert.equal(checkLeaf(certPem, expected), certPem);
  assert.throws(() => checkLeaf(certPem, { ...expected, ipAddresses: ["127.0.0.2"] }), /does not name the IP address 127\.0\.0\.2/);
  assert.throws(() => checkLeaf(certPem, { ...expected, dnsNames: ["node.example"] }), /does not name the host node\.example/);
  assert.throws(() => checkLeaf(certPem, { ...expected, authorityPem: dbClientCa.certPem }), /is not signed by/);
  const serverOnly = await makeTestCertificate({ ...node, extendedUses: ["server_auth"] });
  assert.throws(() => checkLeaf(serverOnly.certPem, expected), CertificateProfileError);
});

test("a leaf without extended key usage, a CA in place of a leaf and a forged issuer are refused", async () => {
  const expected = { kind: "db_client", authorityPem: dbClientCa.certPem } as const;
  const unmarked = await makeTestCertificate({ commonName: "x", issuer: dbClientCa });
  assert.throws(() => checkLeaf(unmarked.certPem, expected), CertificateProfileError);
  const intermediate = await makeTestCertificate({ commonName: "x", issuer: dbClientCa, ca: true, extendedUses: ["client_auth"] });
  assert.throws(() => checkLeaf(intermediate.certPem, expected), /expected a leaf/);
  const forger = await makeTestCertificate({ commonName: "db_client", ca: true, extendedUses: ["client_auth"] });
  const forged = await makeTestCertificate({ commonName: "x", issuer: forger, extendedUses: ["client_auth"] });
  assert.throws(() => checkLeaf(forged.certPem, expected), /is not signed by/);
});

test("text that is no certificate is refused", () => {
  assert.throws(() => checkAuthority("", "redis"), CertificateProfileError);
  assert.throws(() => checkAuthority(redisCa.keyPem, "redis"), CertificateProfileError);
});

test("the bundle holds the Redis CA first, the db_client CA second, and nothing else", () => {
  const bundle = renderPemBundle([redisCa.certPem.trim()], [`${dbClientCa.certPem}\n\n`]);
  assert.equal(bundle, `${redisCa.certPem.trim()}\n${dbClientCa.certPem.trim()}\n`);
  assert.throws(() => renderPemBundle([dbClientCa.certPem], [redisCa.certPem]), CertificateProfileError);
});

test("pem-bundle.cas is the golden one", () => {
  assertGolden("pem-bundle.cas", renderPemBundle([readGolden("redis-ca.crt")], [readGolden("db-client-ca.crt")]));
});

test("a certificate twice, or a second one hidden behind the first, never gets into a bundle", () => {
  assert.throws(() => joinCertificates([redisCa.certPem, redisCa.certPem]), /twice/);
  assert.throws(() => joinCertificates([redisCa.certPem + dbClientCa.certPem]), /more than one PEM block/);
  assert.throws(() => joinCertificates([redisCa.certPem + redisCa.keyPem]), /more than one PEM block/);
});
