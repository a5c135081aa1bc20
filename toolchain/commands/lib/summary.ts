import type { StackOutputs } from "./outputs.ts";
import { styled, table } from "./style.ts";

/** What a person needs to connect, from a stack's outputs (without secrets). */
export function connectionSummary(stack: string, outputs: StackOutputs): string {
  const facts: [string, string | undefined][] = [
    ["Proxy", outputs.connectionUri],
    ["Cluster", outputs.clusterUri],
    ["Users", outputs.users?.join(", ")],
    ["CA", outputs.clientFiles?.ca],
    ["Client", outputs.clientFiles === undefined ? undefined : `${outputs.clientFiles.cert} (key: ${outputs.clientFiles.key})`],
    ["Passwords", `npm run --silent outputs -- --stack ${stack} --show-secrets`],
  ];
  const rows = facts.filter((fact): fact is [string, string] => fact[1] !== undefined).map(([name, value]) => [`  ${name}`, value]);
  const commands = Object.values(outputs.tryIt ?? {});
  const tryIt = commands.length === 0 ? [] : ["", styled("bold", "Try it:"), ...commands.map((command) => `  ${command.split("\n").join("\n  ")}`)];
  return [styled("bold", "Connect:"), table(rows), ...tryIt].join("\n");
}
