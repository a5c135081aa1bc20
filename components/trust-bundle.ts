import * as pulumi from "@pulumi/pulumi";
import { checkAuthorityKind } from "./authority.ts";
import type { CertificateAuthority } from "./authority.ts";
import { renderPemBundle } from "./pem-bundle.ts";

/** Inputs of {@link TrustBundle}. */
export interface TrustBundleArgs {
  /** Signs the nodes' certificates. */
  readonly redisAuthority: CertificateAuthority<"redis">;
  /** Signs the ephemeral client certificates of access proxies. */
  readonly dbClientAuthority: CertificateAuthority<"db_client">;
}

/** What every Redis node trusts: `pem-bundle.cas`. The `db` CA is not in it, so that a stolen database certificate opens nothing. */
export class TrustBundle extends pulumi.ComponentResource {
  /** The text of `pem-bundle.cas`: the Redis CA, then the db_client CA, of one that is rotated the old and the new; checked against their kinds. */
  readonly pem: pulumi.Output<string>;

  /** @throws {InvalidValueError} an authority of another kind */
  constructor(name: string, args: TrustBundleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("redis-access:index:TrustBundle", name, {}, opts);
    checkAuthorityKind("redisAuthority", args.redisAuthority, "redis");
    checkAuthorityKind("dbClientAuthority", args.dbClientAuthority, "db_client");
    this.pem = pulumi.all([args.redisAuthority.trustedByServers, args.dbClientAuthority.trustedByServers]).apply(([redis, dbClient]) => renderPemBundle(redis, dbClient));
    this.registerOutputs({ pem: this.pem });
  }
}
