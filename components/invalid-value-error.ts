/**
 * A value that a user declared and that cannot work: a port out of range, a node twice, an option that this toolkit owns.
 * Thrown by the pure functions before anything is changed.
 */
export class InvalidValueError extends Error {
  readonly code = "INVALID_VALUE";
  /** Has Pulumi show the message alone (the mark of its RunError): what a user has declared needs no stack trace. */
  readonly __pulumiRunError = true;
  /** The option that holds the value, as the user wrote it: `nodes[3].port`. */
  readonly property: string;

  /**
   * @param property the option, as the user wrote it
   * @param problem what is wrong with its value, and what would be right. Never contains a secret.
   */
  constructor(property: string, problem: string) {
    super(`${property}: ${problem}`);
    this.name = "InvalidValueError";
    this.property = property;
  }
}
