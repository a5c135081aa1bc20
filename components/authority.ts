import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { authorityKinds, authorityUses, checkAuthority, checkValidityHours, signsServers } from "./certificate-profile.ts";
import type { AuthorityKind } from "./certificate-profile.ts";
import { InvalidValueError } from "./invalid-value-error.ts";
import { authorityGenerations, unrotated } from "./rotation.ts";
import type { Rotation } from "./rotation.ts";

/** Inputs of {@link CertificateAuthority}. */
export interface CertificateAuthorityArgs<Kind extends AuthorityKind = AuthorityKind> {
  /** Which of the five authorities it is; it decides what the authority, and all it signs, can be used for. */
  readonly kind: Kind;
  /** Common name. Default: `redis-access <kind> CA`. */
  readonly commonName?: pulumi.Input<string>;
  /** How long its certificate is valid from now: a whole number of hours, 1 to 876,000 (a hundred years). Default: 87,600, ten years. */
  readonly validityHours?: pulumi.Input<number>;
  /**
   * Whether the engine refuses to delete or replace it: all that it has signed would lose its worth. Default true. In the step
   * before the last one of its rotation the old generation is free to go.
   */
  readonly protectAuthority?: boolean;
  /** How far its rotation is; each step is an update of its own. Default: `standby 1`, never rotated. */
  readonly rotation?: Rotation;
}

/** Default of `validityHours`. */
const tenYearsHours = 87_600;

interface Generation {
  readonly certPem: pulumi.Output<string>;
  readonly keyPem: pulumi.Output<string>;
}

/**
 * An authority of the split CA: a key, and a certificate signed by itself that carries its kind's extended key usages. The
 * kind is a part of its type: an authority in the place of another one is refused by the compiler already. While it is rotated,
 * it is two: an old generation and a new one (components/rotation.ts).
 */
export class CertificateAuthority<Kind extends AuthorityKind = AuthorityKind> extends pulumi.ComponentResource {
  /** Decides what all that it signs can be used for. */
  readonly kind: Kind;
  /** Whether the engine refuses to delete or replace it. */
  readonly isProtected: boolean;
  /** The certificate of the generation that signs, checked against its kind. */
  readonly certPem: pulumi.Output<string>;
  /** The private key of the generation that signs; secret. */
  readonly keyPem: pulumi.Output<string>;
  /** Certificates that servers are to trust, the oldest first: one, or two while it is rotated. */
  readonly trustedByServers: pulumi.Output<string[]>;
  /** Certificates that clients are to trust, the oldest first. */
  readonly trustedByClients: pulumi.Output<string[]>;

  /** @throws {InvalidValueError} `validityHours` out of its bounds, or a kind that there is not */
  constructor(name: string, args: CertificateAuthorityArgs<Kind>, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:CertificateAuthority", name, {}, opts);
    if (!authorityKinds.includes(args.kind)) throw new InvalidValueError("kind", `is ${JSON.stringify(args.kind)}; expected one of ${authorityKinds.join(", ")}`);
    checkValidityHours(args.validityHours);
    this.isProtected = args.protectAuthority ?? true;
    const generations = authorityGenerations(args.rotation ?? unrotated, signsServers(args.kind) ? "servers" : "clients");
    const made = new Map(generations.standing.map((number) => [number, this.#make(name, args, number, number !== generations.leaving)]));
    const certificates = (numbers: readonly number[]): pulumi.Output<string[]> => pulumi.all(numbers.map((number) => made.get(number)!.certPem));
    this.kind = args.kind;
    this.certPem = made.get(generations.signer)!.certPem;
    this.keyPem = made.get(generations.signer)!.keyPem;
    this.trustedByServers = certificates(generations.trustedByServers);
    this.trustedByClients = certificates(generations.trustedByClients);
    this.registerOutputs({ certPem: this.certPem });
  }

  #make(name: string, args: CertificateAuthorityArgs<Kind>, generation: number, mayBeProtected: boolean): Generation {
    const child = { parent: this, protect: mayBeProtected && this.isProtected };
    // The first has no number: so it was called before there were rotations.
    const suffix = generation === 1 ? "" : `-${generation}`;
    const commonName = pulumi.output(args.commonName ?? `redis-access ${args.kind} CA`);
    const key = new tls.PrivateKey(`${name}-key${suffix}`, { algorithm: "ECDSA", ecdsaCurve: "P256" }, child);
    const certificate = new tls.SelfSignedCert(
      `${name}-certificate${suffix}`,
      {
        privateKeyPem: key.privateKeyPemPkcs8,
        isCaCertificate: true,
        allowedUses: authorityUses(args.kind),
        // Two authorities of one name would be told apart by their keys' identifiers only.
        subject: { commonName: generation === 1 ? commonName : pulumi.interpolate`${commonName} ${generation}` },
        validityPeriodHours: args.validityHours ?? tenYearsHours,
        setSubjectKeyId: true,
        setAuthorityKeyId: true,
      },
      child,
    );
    return { certPem: certificate.certPem.apply((pem) => checkAuthority(pem, args.kind)), keyPem: pulumi.secret(key.privateKeyPemPkcs8) };
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
