/** A configuration that cannot be used, with everything that is wrong with it, so that one edit mends it all. */
export class ConfigError extends Error {
  readonly code = "CONFIG_INVALID";
  /** Each with its place, the value where it is no secret, and what would be right. */
  readonly problems: readonly string[];

  /** @param problems at least one */
  constructor(problems: readonly string[]) {
    super(`the configuration cannot be used:${problems.map((problem) => `\n  ${problem}`).join("")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}
