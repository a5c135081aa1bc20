import type { CertificateKind } from "./certificate-resource.ts";

/** Most runs sign nothing; the libraries for it are loaded by those that do. */
const signing = () => import("./signing.ts");

/** Without a limit to the intermediate certificates that may follow a CA. */
export const NO_PATH_LIMIT = -1;
const VALIDITY_OUTPUTS = ["certPem", "validityStartTime", "validityEndTime"];
const CERTIFICATE_DEFAULTS = { earlyRenewalHours: 0, isCaCertificate: false, maxPathLength: NO_PATH_LIMIT, readyForRenewal: false, setSubjectKeyId: false };
const SUBJECT_INPUTS = ["subject", "dnsNames", "ipAddresses", "uris"];

/** `tls:index/certRequest:CertRequest`: a certificate signing request. */
export const certRequest: CertificateKind = {
  required: ["privateKeyPem"],
  optional: SUBJECT_INPUTS,
  defaults: {},
  keyInput: "privateKeyPem",
  pemInputs: ["privateKeyPem"],
  computed: ["certRequestPem", "keyAlgorithm"],
  issue: async (inputs) => (await signing()).issueRequest(inputs),
};

/** `tls:index/selfSignedCert:SelfSignedCert`: a certificate signed by its own key, such as that of an authority. */
export const selfSignedCert: CertificateKind = {
  required: ["privateKeyPem", "allowedUses", "validityPeriodHours"],
  optional: [...SUBJECT_INPUTS, "earlyRenewalHours", "isCaCertificate", "maxPathLength", "setAuthorityKeyId", "setSubjectKeyId"],
  defaults: { ...CERTIFICATE_DEFAULTS, setAuthorityKeyId: false },
  keyInput: "privateKeyPem",
  pemInputs: ["privateKeyPem"],
  computed: [...VALIDITY_OUTPUTS, "keyAlgorithm"],
  issue: async (inputs) => (await signing()).issueSelfSigned(inputs),
};

/** `tls:index/locallySignedCert:LocallySignedCert`: a certificate for a request, signed by an authority's key. */
export const locallySignedCert: CertificateKind = {
  required: ["caCertPem", "caPrivateKeyPem", "certRequestPem", "allowedUses", "validityPeriodHours"],
  optional: ["earlyRenewalHours", "isCaCertificate", "maxPathLength", "setSubjectKeyId"],
  defaults: CERTIFICATE_DEFAULTS,
  keyInput: "caPrivateKeyPem",
  pemInputs: ["caCertPem", "caPrivateKeyPem", "certRequestPem"],
  computed: [...VALIDITY_OUTPUTS, "caKeyAlgorithm"],
  issue: async (inputs) => (await signing()).issueLocallySigned(inputs),
};
