import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

/**
 * SHA-256 of texts, to restart a program when one of them changes. It is no secret even where a text is: the secrets of
 * this toolkit are keys and passwords of 256 random bits, which a hash does not give away; so a drift stays readable.
 */
export function contentHash(...texts: readonly pulumi.Input<string>[]): pulumi.Output<string> {
  return pulumi.unsecret(pulumi.all([...texts]).apply((parts) => createHash("sha256").update(parts.join("\0")).digest("hex")));
}
