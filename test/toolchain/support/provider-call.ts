import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";

import type { Properties } from "../../../toolchain/bridge/lib/properties.ts";
import { reveal, revealAll } from "../../../toolchain/bridge/lib/properties.ts";
import type { ResourceIdentity, ResourceState, ResourceType } from "../../../toolchain/bridge/lib/resource-type.ts";
import { certRequest, locallySignedCert, selfSignedCert } from "../../../toolchain/bridge/tls/certificate-kinds.ts";
import { certificateResource } from "../../../toolchain/bridge/tls/certificate-resource.ts";
import { privateKeyResource } from "../../../toolchain/bridge/tls/key-resource.ts";

/** The resource types of the tls plugin, by the names of the SDK's classes. */
export const tls = {
  PrivateKey: privateKeyResource,
  CertRequest: certificateResource(certRequest),
  SelfSignedCert: certificateResource(selfSignedCert),
  LocallySignedCert: certificateResource(locallySignedCert),
};

/** Any resource's identity, where it does not matter. */
export const SOME_RESOURCE: ResourceIdentity = { urn: "urn:pulumi:test::project::type::name", name: "name" };

/** Checks inputs and creates the resource, as the engine would; fails where an input is refused. */
export async function create(type: ResourceType, inputs: Properties): Promise<ResourceState> {
  const checked = type.check(inputs);
  if (checked.failures.length > 0) throw new Error(checked.failures.map(({ reason }) => reason).join("; "));
  return type.create(SOME_RESOURCE, checked.inputs, false);
}

/** The outputs of a new resource without their secret marks. */
export async function outputsOf(type: ResourceType, inputs: Properties): Promise<Readonly<Record<string, string>>> {
  const { outputs } = await create(type, inputs);
  return revealAll(outputs) as Readonly<Record<string, string>>;
}

/** A new private key in PEM form. */
export async function newKey(inputs: Properties = { algorithm: "ECDSA", ecdsaCurve: "P256" }): Promise<string> {
  return (await outputsOf(tls.PrivateKey, inputs)).privateKeyPem!;
}

/** An authority to sign with: its certificate and key in PEM form. */
export async function newAuthority(keyInputs?: Properties): Promise<{ certPem: string; keyPem: string }> {
  const keyPem = await newKey(keyInputs);
  const { certPem } = await outputsOf(tls.SelfSignedCert, {
    privateKeyPem: keyPem,
    subject: { commonName: "Test CA" },
    allowedUses: ["cert_signing"],
    isCaCertificate: true,
    validityPeriodHours: 1,
  });
  return { certPem: certPem!, keyPem };
}

/** A certificate signed by an authority, by way of a request. */
export async function signedCertificate(authority: { certPem: string; keyPem: string }, request: Properties, certificate: Properties): Promise<X509Certificate> {
  const { certRequestPem } = await outputsOf(tls.CertRequest, { privateKeyPem: await newKey(), ...request });
  const { certPem } = await outputsOf(tls.LocallySignedCert, {
    caCertPem: authority.certPem,
    caPrivateKeyPem: authority.keyPem,
    certRequestPem: certRequestPem!,
    validityPeriodHours: 1,
    allowedUses: [],
    ...certificate,
  });
  return new X509Certificate(certPem!);
}

/** Whether a certificate certifies this private key. */
export function certifies(certPem: string, keyPem: string): boolean {
  return new X509Certificate(certPem).publicKey.equals(createPublicKey(createPrivateKey(keyPem)));
}

/** A state's output without its secret mark. */
export function output(state: ResourceState, name: string): unknown {
  return reveal(state.outputs[name] ?? null);
}
