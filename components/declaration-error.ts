/**
 * What a user has declared cannot work. It has no stack trace: that would be of this toolkit's insides, and the mistake is
 * elsewhere.
 */
export abstract class DeclarationError extends Error {
  abstract readonly code: string;
  /** The mark of Pulumi's RunError, of which the message alone is shown where a program throws it. */
  readonly __pulumiRunError = true;

  /** @param message names the thing, its value, and what would be right; never a secret */
  constructor(message: string) {
    super(message);
    // Pulumi's serializer writes `error serializing property "…":` before the message of an error that an output ends in,
    // once for every resource that waits for it (@pulumi/pulumi runtime/rpc.ts). What was said here stays as it was said.
    Object.defineProperty(this, "message", { get: () => message, set: () => undefined });
    // Where nobody has waited for the output yet, Pulumi shows the stack (@pulumi/pulumi cmd/run/index.ts).
    Object.defineProperty(this, "stack", { value: message });
  }
}
