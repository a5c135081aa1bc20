/** What `pulumi up` does about a difference; with it goes what clients notice (toolchain/commands/lib/drift-report.ts). */
export type Mend =
  /** Told to the running program, which goes on. */
  | "live"
  /** The program is restarted; a Redis master hands over to a replica first. */
  | "restart"
  /** A program that does not run is started. */
  | "start"
  /** A certificate is made anew, and whoever shows it is told while it runs. */
  | "renew"
  /** A file or directory is written, or gets back its mode and owner. */
  | "write"
  /** The cluster is told to put its members right. */
  | "cluster"
  /** Slots go back with their keys, while they are served. */
  | "slots"
  /** A scaling that was cut off is gone on with. */
  | "scale"
  /** A program that `up` has not started goes on; it is for a person to judge whether anybody needs it. */
  | "leave"
  /** `up` will not do it, because data could be lost or because it is not ours; it says so. */
  | "refuse";

/**
 * One difference between what is declared and what is, in an operator's words. It stands in Pulumi's state and in logs:
 * secrets are named by {@link nameSecret}.
 */
export interface Finding {
  /** What differs: `parameter maxmemory`, `user alice`. */
  readonly thing: string;
  readonly declared: string;
  readonly actual: string;
  /** When it came about, ISO 8601, where the system tells. */
  readonly since?: string;
  readonly mend: Mend;
  /** What `up` says where it refuses the whole stack because of this, before anything is changed. */
  readonly refusals?: readonly string[];
}

/** Hexadecimal digits that tell one secret from another; too few to tell the secret. */
const shownDigits = 12;

/** A secret's name in a finding, from its SHA-256 in hex. */
export function nameSecret(sha256: string): string {
  return `sha256 ${sha256.slice(0, shownDigits)}…`;
}
