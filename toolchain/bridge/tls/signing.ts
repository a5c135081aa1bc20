import { createHash } from "node:crypto";

import type { Properties, PropertyValue } from "../lib/properties.ts";
import { NO_PATH_LIMIT } from "./certificate-kinds.ts";
import {
  type CertificateTemplate,
  createRequest,
  issueCertificate,
  type Issuer,
  parseIssuer,
  parseRequest,
  publicKeyDer,
  subjectKeyId,
  UnusableCertificateError,
} from "./certificates.ts";
import { alternativeNames, InvalidNameError, subjectName } from "./names.ts";
import { algorithmOf, parseKey } from "./private-keys.ts";

/** Makes a certificate signing request: `CertRequest`. */
export async function issueRequest(inputs: Properties) {
  const key = parseKey(text(inputs.privateKeyPem), "privateKeyPem");
  const certRequestPem = await createRequest(key, subjectOf(inputs), alternativeNamesOf(inputs));
  const der = Buffer.from(certRequestPem.replace(/-----[A-Z ]+-----/g, ""), "base64");
  return { id: createHash("sha1").update(der).digest("hex"), certRequestPem, keyAlgorithm: algorithmOf(key) };
}

/** Makes a certificate that is signed by its own key: `SelfSignedCert`. */
export async function issueSelfSigned(inputs: Properties) {
  const key = parseKey(text(inputs.privateKeyPem), "privateKeyPem");
  const template = { ...templateOf(inputs), subject: subjectOf(inputs), alternativeNames: alternativeNamesOf(inputs), publicKey: publicKeyDer(key) };
  const hasKeyId = template.isCa || template.setSubjectKeyId;
  if (inputs.setAuthorityKeyId === true && !hasKeyId) {
    throw new UnusableCertificateError("setAuthorityKeyId needs a subject key identifier to repeat: set setSubjectKeyId or isCaCertificate as well");
  }
  const keyId = inputs.setAuthorityKeyId === true ? subjectKeyId(template.publicKey) : undefined;
  return { ...(await issue(template, { name: template.subject, key, keyId })), keyAlgorithm: algorithmOf(key) };
}

/** Makes a certificate for a request, signed by an authority's key: `LocallySignedCert`. */
export async function issueLocallySigned(inputs: Properties) {
  const key = parseKey(text(inputs.caPrivateKeyPem), "caPrivateKeyPem");
  const authority = parseIssuer(text(inputs.caCertPem));
  const template = { ...templateOf(inputs), ...parseRequest(text(inputs.certRequestPem)) };
  return { ...(await issue(template, { ...authority, key })), caKeyAlgorithm: algorithmOf(key) };
}

async function issue(template: CertificateTemplate, issuer: Issuer) {
  // RFC 5280 section 4.1.2.6: the subject of a CA must not be empty.
  if (template.isCa && template.subject.toJSON().length === 0) {
    throw new InvalidNameError("subject: the certificate of an authority needs one, such as { commonName: \"Example CA\" }");
  }
  const { serialNumber, pem, notAfter } = await issueCertificate(template, issuer);
  return { id: serialNumber, certPem: pem, validityStartTime: template.notBefore.toISOString(), validityEndTime: notAfter.toISOString() };
}

function templateOf(inputs: Properties): Omit<CertificateTemplate, "subject" | "alternativeNames" | "publicKey"> {
  return {
    allowedUses: texts(inputs.allowedUses),
    isCa: inputs.isCaCertificate === true,
    maxPathLength: typeof inputs.maxPathLength === "number" ? inputs.maxPathLength : NO_PATH_LIMIT,
    setSubjectKeyId: inputs.setSubjectKeyId === true,
    notBefore: new Date(),
    validityHours: inputs.validityPeriodHours as number,
  };
}

function subjectOf(inputs: Properties) {
  return subjectName((inputs.subject ?? {}) as Properties);
}

function alternativeNamesOf(inputs: Properties) {
  return alternativeNames(texts(inputs.dnsNames), texts(inputs.ipAddresses), texts(inputs.uris));
}

function text(value: PropertyValue | undefined): string {
  return typeof value === "string" ? value : "";
}

function texts(value: PropertyValue | undefined): string[] {
  return Array.isArray(value) ? (value as readonly PropertyValue[]).filter((item) => typeof item === "string") : [];
}
