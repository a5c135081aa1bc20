// @peculiar/x509 resolves its algorithms by a container that needs this polyfill loaded first.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const oneHourMs = 3_600_000;

/** A certificate and its key, as files hold them. */
export interface TestCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What a test certificate shows; anything not named is left out, so that wrong certificates can be made on purpose. */
export interface TestCertificateOptions {
  readonly commonName: string;
  /** Organizations of the subject, each an attribute of its own: a user certificate's roles. */
  readonly organizations?: readonly string[];
  readonly ca?: boolean;
  readonly extendedUses?: readonly ("server_auth" | "client_auth")[];
  readonly ipAddresses?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly uris?: readonly string[];
  readonly issuer?: TestCertificate;
  /** When it ends, in milliseconds from now; negative for one that has ended. Default: an hour. */
  readonly endsInMs?: number;
}

/** Makes an ECDSA P-256 certificate, signed by `issuer` or by itself, valid for an hour. */
export async function makeTestCertificate(options: TestCertificateOptions): Promise<TestCertificate> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const issuer = options.issuer === undefined ? undefined : await readIssuer(options.issuer);
  const subject = new x509.Name([{ CN: [options.commonName] }, ...(options.organizations ?? []).map((name) => ({ O: [name] }))]).toString();
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer?.subject ?? subject,
    notBefore: new Date(Date.now() - oneHourMs),
    notAfter: new Date(Date.now() + (options.endsInMs ?? oneHourMs)),
    signingKey: issuer?.key ?? keys.privateKey,
    publicKey: keys.publicKey,
    signingAlgorithm: algorithm,
    extensions: await extensions(options, keys.publicKey),
  });
  return { certPem: `${certificate.toString("pem")}\n`, keyPem: await exportKey(keys.privateKey) };
}

async function extensions(options: TestCertificateOptions, publicKey: webcrypto.CryptoKey): Promise<x509.Extension[]> {
  const ca = options.ca ?? false;
  const list: x509.Extension[] = [
    new x509.BasicConstraintsExtension(ca, undefined, true),
    new x509.KeyUsagesExtension(ca ? x509.KeyUsageFlags.keyCertSign : x509.KeyUsageFlags.digitalSignature, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
  const uses = (options.extendedUses ?? []).map((use) => (use === "server_auth" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth));
  if (uses.length > 0) list.push(new x509.ExtendedKeyUsageExtension(uses));
  const names = alternativeNames(options);
  if (names.length > 0) list.push(new x509.SubjectAlternativeNameExtension(names));
  return list;
}

function alternativeNames({ ipAddresses = [], dnsNames = [], uris = [] }: TestCertificateOptions): x509.JsonGeneralName[] {
  return [
    ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...uris.map((value) => ({ type: "url" as const, value })),
  ];
}

async function readIssuer({ certPem, keyPem }: TestCertificate): Promise<{ subject: string; key: webcrypto.CryptoKey }> {
  const der = x509.PemConverter.decodeFirst(keyPem);
  const key = await webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
  return { subject: new x509.X509Certificate(certPem).subject, key };
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n`;
}
