import { execFile } from "node:child_process";

/**
 * Runs a program to its end.
 * @param input what it gets on standard input, where secrets are nobody else's to see
 * @returns what it wrote to standard output
 * @throws Error with the end of what it said, where it failed or was not there
 */
export function runProgram(program: string, args: readonly string[], options: { directory?: string; environment?: Readonly<Record<string, string>>; input?: string; limitMs: number }): Promise<string> {
  const { directory, environment, input = "", limitMs } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { cwd: directory, env: { ...process.env, ...environment }, timeout: limitMs }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${args.join(" ")}: ${error.killed === true ? `not done after ${limitMs} ms` : String(error.code)}\n${(stdout + stderr).slice(-2_000)}`, { cause: error }));
    });
    child.stdin!.on("error", () => undefined);
    child.stdin!.end(input);
  });
}
