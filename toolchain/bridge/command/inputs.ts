import { type Properties, type PropertyValue, revealAll, UNKNOWN } from "../lib/properties.ts";
import type { InputFailure } from "../lib/resource-type.ts";
import { type CommandRun, DEFAULT_INTERPRETER } from "./run-command.ts";

/** What a `Command` resource and the function `run` both take. */
const BASE_INPUTS = ["addPreviousOutputInEnv", "dir", "environment", "interpreter", "logging", "stdin"];
/** The inputs of `command:local:Command`. */
export const COMMAND_INPUTS: readonly string[] = [...BASE_INPUTS, "create", "delete", "triggers", "update"];
/** The inputs of `command:local:run`. */
export const RUN_INPUTS: readonly string[] = [...BASE_INPUTS, "command"];

const LOGGING = ["stdout", "stderr", "stdoutAndStderr", "none"];
const TEXTS = ["create", "update", "delete", "command", "dir", "stdin"];

/** Why inputs cannot be used: by name, each once. */
export function inputFailures(names: readonly string[], inputs: Properties): InputFailure[] {
  const plain = revealAll(inputs);
  const failures: InputFailure[] = [];
  for (const [property, value] of Object.entries(plain)) {
    if (property === "assetPaths" || property === "archivePaths") {
      failures.push({ property, reason: `${property} needs the official command plugin, which this toolchain stands in for` });
    } else if (!names.includes(property)) {
      failures.push({ property, reason: `there is no input ${property}; the inputs are ${names.join(", ")}` });
    } else if (TEXTS.includes(property) && typeof value !== "string") {
      failures.push({ property, reason: `${property} must be text` });
    } else if (property === "logging" && value !== UNKNOWN && !LOGGING.includes(value as string)) {
      failures.push({ property, reason: `logging is ${JSON.stringify(value)}: give one of ${LOGGING.join(", ")}` });
    }
  }
  return failures;
}

/**
 * How a command is run, from the inputs of its resource.
 *
 * @param previous the stdout and stderr of the run before, if there was one
 * @param log called with each line that `logging` lets through
 */
export function commandRun(command: string, inputs: Properties, previous: Properties, log: (line: string) => void): CommandRun {
  const plain = revealAll(inputs);
  const interpreter = texts(plain.interpreter);
  const logging = plain.logging ?? "stdoutAndStderr";
  return {
    command,
    interpreter: interpreter.length === 0 ? DEFAULT_INTERPRETER : interpreter,
    dir: typeof plain.dir === "string" ? plain.dir : undefined,
    environment: {
      ...((plain.environment ?? {}) as Readonly<Record<string, string>>),
      ...(plain.addPreviousOutputInEnv === false ? {} : previousOutput(revealAll(previous))),
    },
    stdin: typeof plain.stdin === "string" ? plain.stdin : undefined,
    onLine: (stream, line) => {
      if (logging === "stdoutAndStderr" || logging === stream) log(line);
    },
  };
}

function previousOutput({ stdout, stderr }: Properties): Record<string, string> {
  return {
    ...(typeof stdout === "string" && stdout !== "" ? { PULUMI_COMMAND_STDOUT: stdout } : {}),
    ...(typeof stderr === "string" && stderr !== "" ? { PULUMI_COMMAND_STDERR: stderr } : {}),
  };
}

function texts(value: PropertyValue | undefined): string[] {
  return Array.isArray(value) ? (value as readonly PropertyValue[]).filter((item) => typeof item === "string") : [];
}
