/** `npm start`: makes the environment of a stack, or mends it, and tells how to connect. */
import { readCommandLine } from "./lib/command-line.ts";
import { stackOutputs } from "./lib/outputs.ts";
import { changedAnything } from "./lib/progress.ts";
import { run } from "./lib/run.ts";
import { selectStack, updateStack } from "./lib/stack.ts";
import { say, styled } from "./lib/style.ts";
import { connectionSummary } from "./lib/summary.ts";

const { stack } = readCommandLine("npm start", "Sets this machine up, makes the environment of a stack or mends what is not as declared,\nand tells how to connect. Run again, it changes nothing.");

await run(async () => {
  await selectStack(stack, { create: true });
  say(`Stack ${stack}: comparing what is with what is declared …`);
  const changes = await updateStack(stack);
  say(changedAnything(changes) ? styled("green", `Stack ${stack} is up.`) : styled("green", `Nothing changed: stack ${stack} is as declared.`));
  say("");
  say(connectionSummary(stack, await stackOutputs(stack, false)));
});
