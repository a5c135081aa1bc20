import * as pulumi from "@pulumi/pulumi";
import { checkAuthorityKind } from "./authority.ts";
import type { CertificateAuthority } from "./authority.ts";
import { LeafCertificate } from "./leaf-certificate.ts";

/** Inputs of {@link NodeCertificate}. */
export interface NodeCertificateArgs {
  /** The Redis CA. */
  readonly authority: CertificateAuthority<"redis">;
  /** IP address the node is reached by. */
  readonly host: pulumi.Input<string>;
  /** Further DNS names it is reached by. */
  readonly dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
  /** How long it is valid from now: a whole number of hours, 1 to 876,000. Default: 17,520, two years. */
  readonly validityHours?: pulumi.Input<number>;
  /** Any text; another one makes another key and certificate. Default `1`. */
  readonly revision?: pulumi.Input<string> | undefined;
}

/** The one certificate of a Redis node, which it shows as a server and, towards its peers, as a client. */
export class NodeCertificate extends pulumi.ComponentResource {
  /** The certificate, checked: server and client, and the address it is reached by. */
  readonly certPem: pulumi.Output<string>;
  /** Its private key, as PKCS #8 PEM; secret. */
  readonly keyPem: pulumi.Output<string>;

  /** @throws {InvalidValueError} the authority is not a Redis CA: peers would refuse the node, or trust too much */
  constructor(name: string, args: NodeCertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:NodeCertificate", name, {}, opts);
    checkAuthorityKind("authority", args.authority, "redis");
    const leaf = new LeafCertificate(
      `${name}-leaf`,
      { authority: args.authority, commonName: args.host, ipAddresses: [args.host], dnsNames: args.dnsNames, validityHours: args.validityHours, revision: args.revision },
      { parent: this },
    );
    this.certPem = leaf.certPem;
    this.keyPem = leaf.keyPem;
    this.registerOutputs({ certPem: this.certPem });
  }
}
