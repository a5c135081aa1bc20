import * as pulumi from "@pulumi/pulumi";
import type { CertificateAuthority } from "./authority.ts";
import { InvalidValueError } from "./invalid-value-error.ts";
import { renderPemBundle } from "./pem-bundle.ts";

/** Inputs of {@link TrustBundle}. */
export interface TrustBundleArgs {
  /** Signs the nodes' certificates. */
  readonly redisAuthority: CertificateAuthority;
  /** Signs the ephemeral client certificates of access proxies. */
  readonly dbClientAuthority: CertificateAuthority;
}

/** What every Redis node trusts: `pem-bundle.cas`. The `db` CA is not in it, so that a stolen database certificate opens nothing. */
export class TrustBundle extends pulumi.ComponentResource {
  readonly pem: pulumi.Output<string>;

  /** @throws {InvalidValueError} an authority of another kind */
  constructor(name: string, args: TrustBundleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:TrustBundle", name, {}, opts);
    if (args.redisAuthority.kind !== "redis") throw new InvalidValueError("redisAuthority", `is a ${args.redisAuthority.kind} CA; expected the redis CA`);
    if (args.dbClientAuthority.kind !== "db_client") throw new InvalidValueError("dbClientAuthority", `is a ${args.dbClientAuthority.kind} CA; expected the db_client CA`);
    this.pem = pulumi.all([args.redisAuthority.certPem, args.dbClientAuthority.certPem]).apply(([redis, dbClient]) => renderPemBundle(redis, dbClient));
    this.registerOutputs({ pem: this.pem });
  }
}
