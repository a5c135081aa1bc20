/**
 * pulumi-resource-tls: stands in for the official plugin of this name where that cannot be had. Types, inputs, outputs
 * and state are those of version 5.6.1, so that a stack moves between the two without a difference.
 */
import { serveProvider } from "../lib/provider-server.ts";
import { certRequest, locallySignedCert, selfSignedCert } from "./certificate-kinds.ts";
import { certificateResource } from "./certificate-resource.ts";
import { privateKeyResource } from "./key-resource.ts";

serveProvider({
  version: "5.6.1",
  acceptSecrets: false,
  resources: {
    "tls:index/privateKey:PrivateKey": privateKeyResource,
    "tls:index/certRequest:CertRequest": certificateResource(certRequest),
    "tls:index/selfSignedCert:SelfSignedCert": certificateResource(selfSignedCert),
    "tls:index/locallySignedCert:LocallySignedCert": certificateResource(locallySignedCert),
  },
  functions: {},
  unsupported: (token) => new Error(`${token} needs the official tls plugin, which this toolchain stands in for: install Pulumi (https://www.pulumi.com/docs/install/), then type: pulumi plugin install resource tls 5.6.1`),
  cancel: () => undefined,
});
