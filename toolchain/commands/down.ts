/** `npm run down`: removes the environment of a stack. */
import { readCommandLine } from "./lib/command-line.ts";
import { pulumiOperation } from "./lib/pulumi.ts";
import { run } from "./lib/run.ts";
import { hasPendingCreations, liftProtection, selectStack, updateStack } from "./lib/stack.ts";
import { stackState } from "./lib/stack-state.ts";
import { say, styled } from "./lib/style.ts";

const { stack } = readCommandLine("npm run down", "Removes what the stack has made: processes, files and data, but for what its configuration protects.");

await run(async () => {
  if ((await stackState(stack)).state === "absent") {
    say(styled("green", `There is no stack ${stack}: nothing to remove.`));
    return;
  }
  await selectStack(stack);
  if (await hasPendingCreations(stack)) {
    say("A former run was cut off. It is completed first, so that what it had begun is known and can be removed.");
    await updateStack(stack).catch(() => {
      say(styled("yellow", "It could not be completed; removing what is known."));
    });
  }
  say(`Stack ${stack}: removing what it has made …`);
  await liftProtection(stack);
  await pulumiOperation(["destroy", "--stack", stack, "--exclude-protected"]);
  const { protected: kept } = await stackState(stack);
  say(styled("green", kept.length === 0 ? `Stack ${stack} is down: nothing of it is left.` : `Stack ${stack} is down. Kept, because they are protected: ${kept.join(", ")}.`));
});
