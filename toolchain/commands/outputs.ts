/** `npm run --silent outputs`: prints a stack's outputs as JSON. */
import { readCommandLine } from "./lib/command-line.ts";
import { stackOutputs } from "./lib/outputs.ts";
import { run } from "./lib/run.ts";
import { say } from "./lib/style.ts";

const { stack, switches } = readCommandLine("npm run --silent outputs", "Prints the outputs of a stack as JSON: addresses, certificates, users, commands to try.", {
  "show-secrets": "print passwords as well",
});

await run(async () => {
  const outputs = await stackOutputs(stack, switches.has("show-secrets"));
  say(JSON.stringify(outputs, null, 2));
  if (Object.keys(outputs).length === 0) process.stderr.write(`Stack ${stack} is down, so it has no outputs. To make it: npm start -- --stack ${stack}\n`);
});
