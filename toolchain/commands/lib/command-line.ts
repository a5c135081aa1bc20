import { parseArgs } from "node:util";

/** What every command of this project takes. */
export interface CommandLine {
  /** The stack that the command is about. */
  readonly stack: string;
  /** Which of the command's own switches were given. */
  readonly switches: ReadonlySet<string>;
  /** What stands on the command line beside the options; empty where the command takes none. */
  readonly words: readonly string[];
}

/** Words that a command takes beside its options. */
export interface Words {
  /** For the usage, such as `WHAT`. */
  readonly name: string;
  /** Each that there is, with what it means. */
  readonly meanings: Readonly<Record<string, string>>;
}

/** The stack of this machine's own environment. */
export const DEFAULT_STACK = "dev";

/**
 * Reads a command's arguments. Prints its help and ends the process where that is asked for, or where an argument is
 * wrong (exit code 2).
 *
 * @param usage the command as typed, such as `npm run status`
 * @param purpose what it does, in a sentence or two
 * @param switches the command's own switches, with what they do
 * @param words what it takes beside them; without it, nothing
 */
export function readCommandLine(usage: string, purpose: string, switches: Readonly<Record<string, string>> = {}, words?: Words): CommandLine {
  const help = helpText(usage, purpose, switches, words);
  const options = Object.fromEntries([...Object.keys(switches), "help"].map((name) => [name, { type: "boolean" as const }]));
  try {
    const parsed = parseArgs({ options: { ...options, stack: { type: "string" as const } }, strict: true, allowPositionals: words !== undefined });
    const values: Readonly<Record<string, unknown>> = parsed.values;
    if (values.help === true) {
      process.stdout.write(help);
      process.exit(0);
    }
    const stack = typeof values.stack === "string" ? values.stack : DEFAULT_STACK;
    return { stack, switches: new Set(Object.keys(switches).filter((name) => values[name] === true)), words: parsed.positionals };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

function helpText(usage: string, purpose: string, switches: Readonly<Record<string, string>>, words: Words | undefined): string {
  const options = { "--stack NAME": `the stack (default: ${DEFAULT_STACK})`, ...Object.fromEntries(Object.entries(switches).map(([name, text]) => [`--${name}`, text])), "--help": "this text" };
  const width = Math.max(...[...Object.keys(options), ...Object.keys(words?.meanings ?? {})].map((name) => name.length));
  const list = (texts: Readonly<Record<string, string>>): string => Object.entries(texts).map(([name, text]) => `  ${name.padEnd(width)}  ${text}\n`).join("");
  const taken = words === undefined ? "" : `${words.name}:\n${list(words.meanings)}\n`;
  return `Usage: ${usage} ${words === undefined ? "[-- options]" : `-- ${words.name} [options]`}\n\n${purpose}\n\n${taken}Options:\n${list(options)}`;
}
