import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import type { CertificateAuthority } from "./authority.ts";
import { checkLeaf, leafUses } from "./certificate-profile.ts";

/** Inputs of {@link LeafCertificate}. */
export interface LeafCertificateArgs {
  /** Who signs it; its kind decides what the certificate can be used for. */
  readonly authority: CertificateAuthority;
  readonly commonName: pulumi.Input<string>;
  readonly organization?: pulumi.Input<string>;
  readonly ipAddresses?: pulumi.Input<pulumi.Input<string>[]>;
  readonly dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
  readonly uris?: pulumi.Input<pulumi.Input<string>[]>;
  /** Default: 17,520, two years. */
  readonly validityHours?: pulumi.Input<number>;
}

/** Default of `validityHours`. */
const twoYearsHours = 17_520;

/** A key, and a certificate for it, signed by an authority and checked against that authority's kind. */
export class LeafCertificate extends pulumi.ComponentResource {
  readonly certPem: pulumi.Output<string>;
  /** Secret. */
  readonly keyPem: pulumi.Output<string>;

  constructor(name: string, args: LeafCertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:LeafCertificate", name, {}, opts);
    const child = { parent: this };
    const { kind, certPem: authorityPem, keyPem: authorityKeyPem } = args.authority;
    const key = new tls.PrivateKey(`${name}-key`, { algorithm: "ECDSA", ecdsaCurve: "P256" }, child);
    const request = new tls.CertRequest(
      `${name}-request`,
      {
        privateKeyPem: key.privateKeyPemPkcs8,
        subject: { commonName: args.commonName, organization: args.organization },
        ipAddresses: args.ipAddresses,
        dnsNames: args.dnsNames,
        uris: args.uris,
      },
      child,
    );
    const certificate = new tls.LocallySignedCert(
      `${name}-certificate`,
      {
        certRequestPem: request.certRequestPem,
        caCertPem: authorityPem,
        caPrivateKeyPem: authorityKeyPem,
        allowedUses: leafUses(kind),
        validityPeriodHours: args.validityHours ?? twoYearsHours,
        setSubjectKeyId: true,
      },
      child,
    );
    const names = pulumi.output({ ipAddresses: args.ipAddresses, dnsNames: args.dnsNames });
    this.certPem = pulumi
      .all([certificate.certPem, authorityPem, names])
      .apply(([pem, authority, { ipAddresses, dnsNames }]) =>
        checkLeaf(pem, { kind, authorityPem: authority, ipAddresses: ipAddresses ?? [], dnsNames: dnsNames ?? [] }),
      );
    this.keyPem = pulumi.secret(key.privateKeyPemPkcs8);
    this.registerOutputs({ certPem: this.certPem });
  }
}
