import { absentStack, PulumiFailedError } from "./pulumi.ts";

/** Runs a command's main function; an error becomes one message without a stack trace, and exit code 1. */
export async function run(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = error instanceof PulumiFailedError ? error.exitCode : 1;
  }
}

function messageOf(error: unknown): string {
  const absent = absentStack(error);
  if (absent !== undefined) return `There is no stack ${absent}. To make it: npm start -- --stack ${absent}`;
  if (error instanceof PulumiFailedError) return [error.stderr.trim(), error.message].filter((line) => line !== "").join("\n");
  return error instanceof Error ? error.message : String(error);
}
