/**
 * pulumi-resource-command: stands in for the official plugin of this name where that cannot be had. Types, inputs,
 * outputs and state are those of version 1.2.1. Commands on other machines are not in it.
 */
import { EngineLog, engineAddressFrom } from "../../../components/provider/engine-log.ts";
import type { Properties } from "../lib/properties.ts";
import { serveProvider } from "../lib/provider-server.ts";
import { reveal } from "../lib/properties.ts";
import { commandResource } from "./command-resource.ts";
import { commandRun, inputFailures, RUN_INPUTS } from "./inputs.ts";
import { CommandRunner } from "./run-command.ts";

const runner = new CommandRunner();
const engineLog = new EngineLog(engineAddressFrom(process.argv));

/** `command:local:run`: runs a command now, on every preview and update. */
async function run(args: Properties): Promise<Properties> {
  const [failure] = inputFailures(RUN_INPUTS, args);
  if (failure !== undefined) throw new Error(failure.reason);
  const command = reveal(args.command ?? null);
  if (typeof command !== "string") throw new Error("command is missing: give the command to run");
  return { ...args, ...(await runner.run(commandRun(command, args, {}, (line) => { engineLog.status("", line); }))) };
}

serveProvider({
  version: "1.2.1",
  acceptSecrets: true,
  resources: { "command:local:Command": commandResource(runner, (urn, line) => { engineLog.status(urn, line); }) },
  functions: { "command:local:run": run },
  unsupported: (token) =>
    new Error(`${token} needs the official command plugin, which this toolchain stands in for on the local machine only: install Pulumi (https://www.pulumi.com/docs/install/), then type: pulumi plugin install resource command 1.2.1`),
  cancel: () => {
    runner.stopAll();
  },
});
