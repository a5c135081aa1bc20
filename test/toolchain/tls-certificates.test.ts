import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";

import { certifies, newAuthority, newKey, outputsOf, signedCertificate, tls } from "./support/provider-call.ts";

const KEY_KINDS: readonly Readonly<Record<string, string>>[] = [{ algorithm: "RSA" }, { algorithm: "ECDSA", ecdsaCurve: "P256" }, { algorithm: "ECDSA", ecdsaCurve: "P384" }, { algorithm: "ECDSA", ecdsaCurve: "P521" }, { algorithm: "ED25519" }];

/** A certificate as OpenSSL prints it. */
function opensslText(pem: string, ...args: string[]): string {
  return execFileSync("openssl", ["x509", "-noout", ...(args.length > 0 ? args : ["-text"])], { input: pem, encoding: "utf8" });
}

for (const kind of KEY_KINDS) {
  test(`an authority with a key of ${Object.values(kind).join(" ")} signs a certificate that OpenSSL and Node verify`, async () => {
    const authority = await newAuthority(kind);
    const leaf = await signedCertificate(authority, { subject: { commonName: "leaf" } }, {});
    assert.ok(leaf.verify(new X509Certificate(authority.certPem).publicKey));
    assert.ok(leaf.checkIssued(new X509Certificate(authority.certPem)));
    const directory = mkdtempSync(path.join(tmpdir(), "tls-certificates-"));
    try {
      writeFileSync(path.join(directory, "ca.crt"), authority.certPem);
      writeFileSync(path.join(directory, "leaf.crt"), leaf.toString());
      execFileSync("openssl", ["verify", "-x509_strict", "-CAfile", "ca.crt", "leaf.crt"], { cwd: directory, stdio: "pipe" });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test(`a key of ${Object.values(kind).join(" ")} is certified by way of a request`, async () => {
    const keyPem = await newKey(kind);
    const request = await outputsOf(tls.CertRequest, { privateKeyPem: keyPem, subject: { commonName: "leaf" } });
    assert.equal(request.keyAlgorithm, kind.algorithm);
    execFileSync("openssl", ["req", "-verify", "-noout"], { input: request.certRequestPem, stdio: "pipe" });
    const leaf = await signedCertificate(await newAuthority(), { privateKeyPem: keyPem }, {});
    assert.ok(certifies(leaf.toString(), keyPem));
  });
}

describe("the uses of a certificate", () => {
  test("become keyUsage, critical, and extendedKeyUsage, not critical", async () => {
    const leaf = await signedCertificate(await newAuthority(), {}, { allowedUses: ["server_auth", "digital_signature", "client_auth", "key_encipherment"] });
    const text = opensslText(leaf.toString(), "-ext", "keyUsage,extendedKeyUsage");
    assert.match(text, /X509v3 Key Usage: critical\n\s+Digital Signature, Key Encipherment\n/);
    assert.match(text, /X509v3 Extended Key Usage: \n\s+TLS Web Server Authentication, TLS Web Client Authentication\n/);
  });

  test("are none at all where none are given", async () => {
    const leaf = await signedCertificate(await newAuthority(), {}, { allowedUses: [] });
    assert.equal(leaf.keyUsage, undefined);
    assert.doesNotMatch(opensslText(leaf.toString()), /Key Usage/);
  });

  test("each become the one that RFC 5280 or its vendor calls so", async () => {
    const names: Readonly<Record<string, string>> = {
      digital_signature: "Digital Signature",
      content_commitment: "Non Repudiation",
      key_encipherment: "Key Encipherment",
      data_encipherment: "Data Encipherment",
      key_agreement: "Key Agreement",
      cert_signing: "Certificate Sign",
      crl_signing: "CRL Sign",
      encipher_only: "Encipher Only",
      decipher_only: "Decipher Only",
      any_extended: "Any Extended Key Usage",
      server_auth: "TLS Web Server Authentication",
      client_auth: "TLS Web Client Authentication",
      code_signing: "Code Signing",
      email_protection: "E-mail Protection",
      ipsec_end_system: "IPSec End System",
      ipsec_tunnel: "IPSec Tunnel",
      ipsec_user: "IPSec User",
      timestamping: "Time Stamping",
      ocsp_signing: "OCSP Signing",
      microsoft_server_gated_crypto: "Microsoft Server Gated Crypto",
      netscape_server_gated_crypto: "Netscape Server Gated Crypto",
      microsoft_commercial_code_signing: "Microsoft Commercial Code Signing",
      microsoft_kernel_code_signing: "1.3.6.1.4.1.311.61.1.1",
    };
    const authority = await newAuthority();
    for (const [use, name] of Object.entries(names)) {
      const leaf = await signedCertificate(authority, {}, { allowedUses: [use] });
      assert.ok(opensslText(leaf.toString()).includes(`\n                ${name}\n`), `${use}: ${opensslText(leaf.toString(), "-ext", "keyUsage,extendedKeyUsage")}`);
    }
  });
});

describe("a self-signed certificate", () => {
  test("of an authority says so, and identifies its key", async () => {
    const { certPem } = await newAuthority();
    const text = opensslText(certPem);
    assert.match(text, /X509v3 Basic Constraints: critical\n\s+CA:TRUE\n/);
    assert.match(text, /X509v3 Subject Key Identifier/);
    assert.doesNotMatch(text, /X509v3 Authority Key Identifier/);
  });

  test("limits what may follow it by maxPathLength", async () => {
    const { certPem } = await outputsOf(tls.SelfSignedCert, { privateKeyPem: await newKey(), subject: { commonName: "CA" }, allowedUses: [], isCaCertificate: true, maxPathLength: 1, validityPeriodHours: 1 });
    assert.match(opensslText(certPem!), /CA:TRUE, pathlen:1\n/);
  });

  test("of no authority has key identifiers only where they are asked for", async () => {
    const inputs = { privateKeyPem: await newKey(), allowedUses: [], validityPeriodHours: 1, subject: { commonName: "x" } };
    const plain = await outputsOf(tls.SelfSignedCert, inputs);
    assert.doesNotMatch(opensslText(plain.certPem!), /Key Identifier/);
    const identified = await outputsOf(tls.SelfSignedCert, { ...inputs, setSubjectKeyId: true, setAuthorityKeyId: true });
    const [subject, authority] = opensslText(identified.certPem!).match(/Key Identifier: \n\s+(?:keyid:)?([0-9A-F:]+)/g)!.map((match) => match.split(/\s+/).at(-1));
    assert.ok(subject);
    assert.equal(subject, authority);
  });

  test("cannot repeat a key identifier that it does not have", async () => {
    const inputs = { privateKeyPem: await newKey(), allowedUses: [], validityPeriodHours: 1, setAuthorityKeyId: true };
    await assert.rejects(outputsOf(tls.SelfSignedCert, inputs), /setAuthorityKeyId needs a subject key identifier/);
  });

  test("of an authority without a subject is refused", async () => {
    const inputs = { privateKeyPem: await newKey(), allowedUses: [], validityPeriodHours: 1, isCaCertificate: true };
    await assert.rejects(outputsOf(tls.SelfSignedCert, inputs), /subject: the certificate of an authority needs one/);
  });

  test("may last beyond the year 2049, where certificates write years with four digits", async () => {
    const { certPem, validityEndTime } = await outputsOf(tls.SelfSignedCert, { privateKeyPem: await newKey(), allowedUses: [], validityPeriodHours: 876_000, subject: { commonName: "x" } });
    const end = new Date(new X509Certificate(certPem!).validTo);
    assert.ok(end.getUTCFullYear() > 2100);
    assert.equal(end.getTime(), Math.floor(Date.parse(validityEndTime!) / 1000) * 1000);
  });
});

describe("names", () => {
  test("of a subject come in the order of Go's crypto/x509, each with the type of its characters", async () => {
    const { certPem } = await outputsOf(tls.SelfSignedCert, {
      privateKeyPem: await newKey(),
      allowedUses: [],
      validityPeriodHours: 1,
      subject: { commonName: "Größe & Co", serialNumber: "7", country: "DE", organization: "Example, Inc.", organizationalUnit: "Ops", locality: "Köln", province: "NRW", streetAddresses: ["Domkloster 4"], postalCode: "50667" },
    });
    const subject = opensslText(certPem!, "-subject", "-nameopt", "RFC2253,sname,show_type,-dn_rev,-esc_msb,utf8").trim();
    assert.equal(
      subject,
      "subject=C=PRINTABLESTRING:DE,O=PRINTABLESTRING:Example\\, Inc.,OU=PRINTABLESTRING:Ops,L=UTF8STRING:Köln,ST=PRINTABLESTRING:NRW,street=PRINTABLESTRING:Domkloster 4,postalCode=PRINTABLESTRING:50667,CN=UTF8STRING:Größe & Co,serialNumber=PRINTABLESTRING:7",
    );
  });

  test("other than the subject go from the request into the certificate", async () => {
    const leaf = await signedCertificate(
      await newAuthority(),
      { subject: { commonName: "leaf" }, dnsNames: ["localhost", "*.example.com"], ipAddresses: ["127.0.0.1", "2001:db8::1"], uris: ["redis-access:db-user:alice", "https://example.com/x"] },
      {},
    );
    assert.equal(leaf.subjectAltName, "DNS:localhost, DNS:*.example.com, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, URI:redis-access:db-user:alice, URI:https://example.com/x");
    assert.doesNotMatch(opensslText(leaf.toString()), /Subject Alternative Name: critical/);
  });

  test("other than the subject are critical where there is no subject", async () => {
    const leaf = await signedCertificate(await newAuthority(), { dnsNames: ["localhost"] }, {});
    assert.match(opensslText(leaf.toString()), /Subject Alternative Name: critical\n\s+DNS:localhost\n/);
  });

  test("that cannot be are refused by name and value", async () => {
    const privateKeyPem = await newKey();
    await assert.rejects(outputsOf(tls.CertRequest, { privateKeyPem, ipAddresses: ["127.0.0.256"] }), /ipAddresses: "127.0.0.256" is not an IP address/);
    await assert.rejects(outputsOf(tls.CertRequest, { privateKeyPem, uris: ["no-scheme"] }), /uris: "no-scheme" is not a URI/);
  });
});

test("a leaf names its authority's key, has a random serial number and lasts as long as asked", async () => {
  const authority = await newAuthority();
  const leaf = await signedCertificate(authority, {}, { validityPeriodHours: 48 });
  const again = await signedCertificate(authority, {}, { validityPeriodHours: 48 });
  const keyIdOf = (pem: string): string | undefined => /Key Identifier: \n\s+(?:keyid:)?([0-9A-F:]+)/.exec(opensslText(pem))?.[1];
  assert.equal(keyIdOf(leaf.toString()), keyIdOf(authority.certPem));
  assert.notEqual(leaf.serialNumber, again.serialNumber);
  assert.equal(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom), 48 * 3_600_000);
  assert.equal(leaf.ca, false);
});

test("a key, certificate or request that cannot be read is named, and no key is quoted", async () => {
  const authority = await newAuthority();
  const { certRequestPem } = await outputsOf(tls.CertRequest, { privateKeyPem: authority.keyPem });
  const inputs = { caCertPem: authority.certPem, caPrivateKeyPem: authority.keyPem, certRequestPem: certRequestPem!, allowedUses: [], validityPeriodHours: 1 };
  const broken = authority.keyPem.replace(/[A-Za-z0-9]{20}/, "@@");
  await assert.rejects(outputsOf(tls.LocallySignedCert, { ...inputs, caPrivateKeyPem: broken }), { message: "caPrivateKeyPem is not a private key in PEM form" });
  await assert.rejects(outputsOf(tls.LocallySignedCert, { ...inputs, caCertPem: "x" }), { message: "caCertPem is not PEM text of type CERTIFICATE" });
  await assert.rejects(outputsOf(tls.LocallySignedCert, { ...inputs, certRequestPem: authority.certPem }), { message: "certRequestPem is not PEM text of type CERTIFICATE REQUEST" });
});
