import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import type { CertificateAuthority } from "./authority.ts";
import { checkLeaf, checkValidityHours, leafUses } from "./certificate-profile.ts";
import { contentHash } from "./content-hash.ts";
import { CertificateTerm } from "./provider/resources.ts";

/** Inputs of {@link LeafCertificate}. */
export interface LeafCertificateArgs {
  /** Who signs it; its kind decides what the certificate can be used for. */
  readonly authority: CertificateAuthority;
  /** Whose it is: of a user, the name in the audit log. */
  readonly commonName: pulumi.Input<string>;
  /** Of a user, the role. */
  readonly organization?: pulumi.Input<string>;
  /** Subject alternative names: the IP addresses that a server is reached by. The certificate must show each of them. */
  readonly ipAddresses?: pulumi.Input<pulumi.Input<string>[]>;
  /** Subject alternative names: the DNS names that a server is reached by. The certificate must show each of them. */
  readonly dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
  /** Subject alternative names: `redis-access:db-user:<user>` binds a user's sessions to one Redis user. */
  readonly uris?: pulumi.Input<pulumi.Input<string>[]>;
  /** How long it is valid from now: a whole number of hours, 1 to 876,000. Default: 17,520, two years. */
  readonly validityHours?: pulumi.Input<number>;
  /** Any text; another one makes another key and certificate. Default `1`. */
  readonly revision?: pulumi.Input<string> | undefined;
}

/** The clock may be set back a little between a term's beginning and its certificate. */
const clockStepMs = 60_000;

/** Default of `validityHours`. */
const twoYearsHours = 17_520;

/**
 * A key, and a certificate for it, signed by an authority and checked against that authority's kind. Both are made anew with
 * another revision or authority, and by the first update after two thirds of the certificate's life.
 */
export class LeafCertificate extends pulumi.ComponentResource {
  /** The certificate, checked against its authority's kind and the names asked for; a program with another one ends. */
  readonly certPem: pulumi.Output<string>;
  /** Its private key, as PKCS #8 PEM; secret. */
  readonly keyPem: pulumi.Output<string>;

  /** @throws {InvalidValueError} `validityHours` out of its bounds */
  constructor(name: string, args: LeafCertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:LeafCertificate", name, {}, opts);
    checkValidityHours(args.validityHours);
    const child = { parent: this };
    const { kind, certPem: authorityPem, keyPem: authorityKeyPem } = args.authority;
    const validityHours = args.validityHours ?? twoYearsHours;
    const term = new CertificateTerm(`${name}-term`, { subject: args.commonName, validityHours, authority: contentHash(authorityPem), revision: args.revision }, child);
    // All else follows from the key: request and certificate are made anew with it.
    const key = new tls.PrivateKey(`${name}-key`, { algorithm: "ECDSA", ecdsaCurve: "P256" }, { ...child, replacementTrigger: term.begun });
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
        validityPeriodHours: validityHours,
        setSubjectKeyId: true,
      },
      child,
    );
    pulumi.all([certificate.validityStartTime, term.begun, args.commonName]).apply(([made, begun, subject]) => { this.#tellIfOlder(subject, made, begun); });
    const names = pulumi.output({ ipAddresses: args.ipAddresses, dnsNames: args.dnsNames });
    this.certPem = pulumi
      .all([certificate.certPem, authorityPem, names])
      .apply(([pem, authority, { ipAddresses, dnsNames }]) =>
        checkLeaf(pem, { kind, authorityPem: authority, ipAddresses: ipAddresses ?? [], dnsNames: dnsNames ?? [] }),
      );
    this.keyPem = pulumi.secret(key.privateKeyPemPkcs8);
    this.registerOutputs({ certPem: this.certPem });
  }

  /** An engine that does not know `replacementTrigger` ignores it, and the certificate would end one day without a word. */
  #tellIfOlder(subject: string, made: string, begun: string): void {
    if (Date.parse(made) >= Date.parse(begun) - clockStepMs) return;
    void pulumi.log.warn(`the certificate of ${subject} is of ${made}, older than its term, which began ${begun}: it was not made anew. Pulumi must know the resource option replacementTrigger; with one that does, another revision makes the certificate anew`, this);
  }
}
