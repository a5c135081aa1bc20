import type struct from "google-protobuf/google/protobuf/struct_pb.js";

/** What stays in its place although it was to be replaced, in the engine's terms. */
export interface Kept {
  readonly id: string;
  /** As the state has them. */
  readonly inputs: struct.Struct | undefined;
  readonly properties: struct.Struct | undefined;
}

/** What was to be replaced stays as it is, and why. */
export class ReplacementRefusedError extends Error {
  readonly code = "REPLACEMENT_REFUSED";
  /** What there still is. */
  readonly kept: Kept;

  constructor(cause: unknown, kept: Kept) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "ReplacementRefusedError";
    this.kept = kept;
  }
}

/**
 * Has a replacement end where its first half fails. What has a place in the world is deleted before the new one is made. Were the
 * engine told that the deletion has failed, it would not ask for the new one, and with `--continue-on-error` it would go on
 * without ever telling the program what has become of it: the program would wait for ever (pulumi pkg/resource/deploy/step.go:
 * `Fail` of a DeleteStep does nothing, that of a CreateStep answers). So the creation fails in its stead, and the state keeps
 * what there was.
 *
 * It lives as long as this process, that is for one run of the engine.
 */
export class Replacements {
  readonly #declared = new Set<string>();
  readonly #refused = new Map<string, ReplacementRefusedError>();

  /** The run's program has declared a resource. One that is deleted all the same is to be replaced. */
  declare(urn: string): void {
    this.#declared.add(urn);
  }

  /** Whether what is deleted is to be made anew. */
  isReplaced(urn: string): boolean {
    return this.#declared.has(urn);
  }

  /** Waits for a deletion. Where it fails, and is the first half of a replacement, {@link Replacements.begin} tells that. */
  async end(urn: string, kept: Kept, deletion: Promise<void>): Promise<void> {
    try {
      await deletion;
    } catch (error) {
      if (!this.isReplaced(urn)) throw error;
      this.#refused.set(urn, new ReplacementRefusedError(error, kept));
    }
  }

  /**
   * To be called before a resource is made.
   * @throws {ReplacementRefusedError} the one that it was to replace is still there
   */
  begin(urn: string): void {
    const refused = this.#refused.get(urn);
    this.#refused.delete(urn);
    if (refused !== undefined) throw refused;
  }
}
