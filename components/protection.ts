import type * as pulumi from "@pulumi/pulumi";
import type { CertificateAuthority } from "./authority.ts";
import { Protection } from "./provider/resources.ts";

/** What a component needs to refuse its own end. */
export interface OwnProtection {
  /** What it is, for whoever is refused: `cluster`. */
  readonly what: string;
  /** As its program says; undefined: whether one of the authorities is protected. */
  readonly on: boolean | undefined;
  readonly authorities: readonly CertificateAuthority[];
  /** All parts that nothing else of the component depends on. */
  readonly parts: readonly pulumi.Resource[];
}

/**
 * Has a component refuse `pulumi destroy` before any part of it is deleted, so that no program can forget to. Without it the engine
 * comes to protected authorities last, when what they have signed for is gone. It stands beside the component, not in it: what
 * depends on the component is deleted before that is, and would be gone when its turn comes.
 * @param opts of the component
 */
export function protectComponent(name: string, { what, on, authorities, parts }: OwnProtection, opts: pulumi.ComponentResourceOptions | undefined): Protection {
  const howToLift = `To lift the protection, set \`protectAuthority\` of its authorities to false, or \`refuseDestroy\` of ${name}, and update.`;
  // Made where it is off, too: to be taken off, it has to be updated before it goes.
  return new Protection(`${name}-protection`, { what, on: on ?? authorities.some(({ isProtected }) => isProtected), howToLift }, { ...(opts?.parent !== undefined && { parent: opts.parent }), dependsOn: [...parts] });
}
