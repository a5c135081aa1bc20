/** `npm run --silent outputs`: prints a stack's outputs as JSON. */
import { readCommandLine } from "./lib/command-line.ts";
import { stackOutputs } from "./lib/outputs.ts";
import { run } from "./lib/run.ts";
import { say } from "./lib/style.ts";

const { stack, switches } = readCommandLine("npm run --silent outputs", "Prints the outputs of a stack as JSON: addresses, certificates, users, commands to try.", {
  "show-secrets": "print passwords as well",
});

await run(async () => {
  say(JSON.stringify(await stackOutputs(stack, switches.has("show-secrets")), null, 2));
});
