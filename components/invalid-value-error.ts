import { DeclarationError } from "./declaration-error.ts";

/**
 * A value that a user declared and that cannot work: a port out of range, a node twice, an option that this toolkit owns.
 * Thrown by the pure functions before anything is changed.
 */
export class InvalidValueError extends DeclarationError {
  override readonly code = "INVALID_VALUE";
  /** The option that holds the value, as the user wrote it: `nodes[3].port`. */
  readonly property: string;
  /** What is wrong with its value, and what would be right. */
  readonly problem: string;

  /**
   * @param property the option, as the user wrote it
   * @param problem what is wrong with its value, and what would be right. Never contains a secret.
   */
  constructor(property: string, problem: string) {
    super(`${property}: ${problem}`);
    this.name = "InvalidValueError";
    this.property = property;
    this.problem = problem;
  }
}
