import { randomBytes } from "node:crypto";

import { changesOf } from "../lib/changes.ts";
import { type Properties, reveal, UNKNOWN } from "../lib/properties.ts";
import type { ResourceIdentity, ResourceType } from "../lib/resource-type.ts";
import { COMMAND_INPUTS, commandRun, inputFailures } from "./inputs.ts";
import type { CommandOutput, CommandRunner } from "./run-command.ts";

const NOT_RUN: CommandOutput = { stdout: "", stderr: "" };
const NOT_KNOWN = { stdout: UNKNOWN, stderr: UNKNOWN };

/**
 * `command:local:Command`: commands that run when the resource is created, changed and deleted. There is nothing to
 * read back: it is as declared as long as its inputs are. Secrets keep their marks on the way from inputs to outputs.
 *
 * @param log shows a line of output beside the resource of this URN while the command runs
 */
export function commandResource(runner: CommandRunner, log: (urn: string, line: string) => void): ResourceType {
  const execute = (identity: ResourceIdentity, command: Properties[string] | undefined, inputs: Properties, previous: Properties): Promise<CommandOutput> => {
    const text = reveal(command ?? null);
    if (typeof text !== "string") return Promise.resolve(NOT_RUN);
    return runner.run(commandRun(text, inputs, previous, (line) => { log(identity.urn, line); }));
  };

  return {
    check: (inputs) => ({ inputs, failures: inputFailures(COMMAND_INPUTS, inputs) }),
    diff: (state, inputs) => changesOf(COMMAND_INPUTS, state.outputs, inputs, (name) => name === "triggers"),
    async create(identity, inputs, preview) {
      if (preview) return { id: "", outputs: { ...inputs, ...NOT_KNOWN } };
      const output = await execute(identity, inputs.create, inputs, {});
      return { id: `${identity.name}${randomBytes(4).toString("hex")}`, outputs: { ...inputs, ...output } };
    },
    read: (state) => state.outputs,
    async update(identity, state, inputs, preview) {
      if (preview) return { ...inputs, ...NOT_KNOWN };
      const command = inputs.update ?? inputs.create;
      if (command === undefined) return { ...inputs, ...outputsOf(state.outputs) };
      return { ...inputs, ...(await execute(identity, command, inputs, state.outputs)) };
    },
    async delete(identity, state) {
      await execute(identity, state.outputs.delete, state.outputs, state.outputs);
    },
  };
}

function outputsOf({ stdout, stderr }: Properties): Properties {
  return { stdout: stdout ?? "", stderr: stderr ?? "" };
}
