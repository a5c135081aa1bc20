import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { authorityKinds, authorityUses, checkAuthority, checkValidityHours } from "./certificate-profile.ts";
import type { AuthorityKind } from "./certificate-profile.ts";
import { InvalidValueError } from "./invalid-value-error.ts";

/** Inputs of {@link CertificateAuthority}. */
export interface CertificateAuthorityArgs<Kind extends AuthorityKind = AuthorityKind> {
  /** Which of the five authorities it is; it decides what the authority, and all it signs, can be used for. */
  readonly kind: Kind;
  /** Common name. Default: `redis-access <kind> CA`. */
  readonly commonName?: pulumi.Input<string>;
  /** How long its certificate is valid from now: a whole number of hours, 1 to 876,000 (a hundred years). Default: 87,600, ten years. */
  readonly validityHours?: pulumi.Input<number>;
  /** Whether the engine refuses to delete or replace it: all that it has signed would lose its worth. Default true. */
  readonly protectAuthority?: boolean;
}

/** Default of `validityHours`. */
const tenYearsHours = 87_600;

/**
 * An authority of the split CA: a key, and a certificate signed by itself that carries its kind's extended key usages. The
 * kind is a part of its type: an authority in the place of another one is refused by the compiler already.
 */
export class CertificateAuthority<Kind extends AuthorityKind = AuthorityKind> extends pulumi.ComponentResource {
  /** Decides what all that it signs can be used for. */
  readonly kind: Kind;
  /** Its certificate, checked against its kind. */
  readonly certPem: pulumi.Output<string>;
  /** Its private key; secret. */
  readonly keyPem: pulumi.Output<string>;

  /** @throws {InvalidValueError} `validityHours` out of its bounds, or a kind that there is not */
  constructor(name: string, args: CertificateAuthorityArgs<Kind>, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:CertificateAuthority", name, {}, opts);
    if (!authorityKinds.includes(args.kind)) throw new InvalidValueError("kind", `is ${JSON.stringify(args.kind)}; expected one of ${authorityKinds.join(", ")}`);
    checkValidityHours(args.validityHours);
    const child = { parent: this, protect: args.protectAuthority ?? true };
    const key = new tls.PrivateKey(`${name}-key`, { algorithm: "ECDSA", ecdsaCurve: "P256" }, child);
    const certificate = new tls.SelfSignedCert(
      `${name}-certificate`,
      {
        privateKeyPem: key.privateKeyPemPkcs8,
        isCaCertificate: true,
        allowedUses: authorityUses(args.kind),
        subject: { commonName: args.commonName ?? `redis-access ${args.kind} CA` },
        validityPeriodHours: args.validityHours ?? tenYearsHours,
        setSubjectKeyId: true,
        setAuthorityKeyId: true,
      },
      child,
    );
    this.kind = args.kind;
    this.certPem = certificate.certPem.apply((pem) => checkAuthority(pem, args.kind));
    this.keyPem = pulumi.secret(key.privateKeyPemPkcs8);
    this.registerOutputs({ certPem: this.certPem });
  }
}

/**
 * Refuses an authority of another kind than its place asks for: what it signs would be refused, or trusted too much.
 * @param property the place, as the user wrote it
 * @throws {InvalidValueError}
 */
export function checkAuthorityKind(property: string, authority: CertificateAuthority, expected: AuthorityKind): void {
  if (authority.kind !== expected) throw new InvalidValueError(property, `is a ${authority.kind} CA; expected the ${expected} CA`);
}
