import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";

import { commandResource } from "../../toolchain/bridge/command/command-resource.ts";
import { CommandRunner } from "../../toolchain/bridge/command/run-command.ts";
import { type Properties, secret, UNKNOWN } from "../../toolchain/bridge/lib/properties.ts";
import { isAlive } from "../support/is-alive.ts";
import { waitFor } from "../support/wait-for.ts";
import { create, SOME_RESOURCE } from "./support/provider-call.ts";

const directory = realpathSync(mkdtempSync(path.join(tmpdir(), "command-plugin-")));
const runner = new CommandRunner();
const lines: string[] = [];
const command = commandResource(runner, (_urn, line) => lines.push(line));

after(() => {
  rmSync(directory, { recursive: true });
});

/** Creates a command and returns what it wrote to standard output. */
async function stdoutOf(inputs: Properties): Promise<unknown> {
  return (await create(command, inputs)).outputs.stdout;
}

describe("creating a command", () => {
  test("runs it, and keeps what it wrote without the newline at the end", async () => {
    const { id, outputs } = await create(command, { create: "echo out; echo; echo err >&2" });
    assert.deepEqual(outputs, { create: "echo out; echo; echo err >&2", stdout: "out\n", stderr: "err" });
    assert.match(id, /^name[0-9a-f]{8}$/);
  });

  test("hands it standard input and an environment, secrets among them, which stay marked in the state", async () => {
    const inputs = { create: 'cat; echo "$A $B"', stdin: secret("from stdin\n"), environment: { A: secret("a"), B: "b" } };
    const { outputs } = await create(command, inputs);
    assert.equal(outputs.stdout, "from stdin\na b");
    assert.deepEqual(outputs.stdin, inputs.stdin);
    assert.deepEqual(outputs.environment, inputs.environment);
  });

  test("runs it in a directory and by an interpreter of one's choice", async () => {
    assert.equal(await stdoutOf({ create: "pwd", dir: directory }), directory);
    assert.equal(await stdoutOf({ create: "console.log(process.argv.length)", interpreter: [process.execPath, "-e"] }), "1");
  });

  test("does nothing where there is nothing to do", async () => {
    assert.deepEqual((await create(command, { delete: "true" })).outputs, { delete: "true", stdout: "", stderr: "" });
  });

  test("fails with the exit code and what the command wrote", async () => {
    await assert.rejects(stdoutOf({ create: "echo one; echo two >&2; exit 3" }), (error: Error) => {
      assert.match(error.message, /^exit status 3: running "echo one; echo two >&2; exit 3":\n/);
      assert.match(error.message, /one/);
      assert.match(error.message, /two/);
      return true;
    });
    await assert.rejects(stdoutOf({ create: "x", interpreter: ["/does/not/exist"] }), /cannot start "\/does\/not\/exist"/);
    await assert.rejects(stdoutOf({ create: "pwd", dir: "/does/not/exist" }), /cannot start/);
  });

  test("in a preview runs nothing, and knows no output", async () => {
    const { outputs } = await command.create(SOME_RESOURCE, { create: `touch ${directory}/previewed` }, true);
    assert.equal(outputs.stdout, UNKNOWN);
    assert.throws(() => readFileSync(path.join(directory, "previewed")));
  });

  test("is not hurt by a command that does not read its input", async () => {
    assert.equal(await stdoutOf({ create: "exec <&-; echo done", stdin: "x".repeat(1_000_000) }), "done");
  });
});

describe("what a command writes", () => {
  const shown = async (inputs: Properties): Promise<string[]> => {
    lines.length = 0;
    await create(command, { create: "echo out; printf 'no newline' >&2", ...inputs });
    return [...lines].sort();
  };

  test("is shown line by line unless `logging` holds it back", async () => {
    assert.deepEqual(await shown({}), ["no newline", "out"]);
    assert.deepEqual(await shown({ logging: "stdoutAndStderr" }), ["no newline", "out"]);
    assert.deepEqual(await shown({ logging: "stdout" }), ["out"]);
    assert.deepEqual(await shown({ logging: "stderr" }), ["no newline"]);
    assert.deepEqual(await shown({ logging: "none" }), []);
  });
});

describe("a command that was created", () => {
  test("differs from nothing when its inputs are the same, secret marks aside", async () => {
    const inputs = { create: "true", environment: { A: "a" }, triggers: [1, "x"] };
    const state = await create(command, inputs);
    assert.deepEqual(command.diff(state, inputs), {});
    assert.deepEqual(command.diff(state, { ...inputs, environment: { A: secret("a") } }), {});
  });

  test("is replaced where its triggers change, and updated where anything else does", async () => {
    const inputs = { create: "true", triggers: [1] };
    const state = await create(command, inputs);
    assert.deepEqual(command.diff(state, { ...inputs, triggers: [2] }), { triggers: { kind: "update", replace: true } });
    assert.deepEqual(command.diff(state, { ...inputs, create: "false" }), { create: { kind: "update", replace: false } });
    assert.deepEqual(command.diff(state, { ...inputs, update: "true" }), { update: { kind: "add", replace: false } });
  });

  test("runs its update command, else its create command again, with its former output in the environment", async () => {
    const state = await create(command, { create: "echo first; echo problem >&2" });
    const show = 'echo "was: $PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR"';
    const update = (inputs: Properties): Promise<Properties> => command.update(SOME_RESOURCE, state, inputs, false);
    assert.equal((await update({ create: "false", update: show })).stdout, "was: first problem");
    assert.equal((await update({ create: show })).stdout, "was: first problem");
    assert.equal((await update({ create: show, addPreviousOutputInEnv: false })).stdout, "was:  ");
    assert.deepEqual(await update({ delete: "true" }), { delete: "true", stdout: "first", stderr: "problem" });
  });

  test("runs its delete command when it is deleted", async () => {
    const file = path.join(directory, "deleted");
    const state = await create(command, { create: "echo made", delete: `echo "$PULUMI_COMMAND_STDOUT" > ${file}` });
    await command.delete(SOME_RESOURCE, state);
    assert.equal(readFileSync(file, "utf8"), "made\n");
  });
});

test("inputs that are wrong are refused by name, with what would be right", () => {
  const reasons = (inputs: Properties): readonly string[] => command.check(inputs).failures.map(({ reason }) => reason);
  assert.deepEqual(reasons({ create: "true", logging: UNKNOWN, stdin: secret("x") }), []);
  assert.deepEqual(reasons({ create: 7 }), ["create must be text"]);
  assert.deepEqual(reasons({ logging: "all" }), ['logging is "all": give one of stdout, stderr, stdoutAndStderr, none']);
  assert.match(reasons({ assetPaths: ["x"] })[0]!, /needs the official command plugin/);
  assert.match(reasons({ creat: "true" })[0]!, /there is no input creat; the inputs are /);
});

test("stopping a command stops what it has started as well", async () => {
  const file = path.join(directory, "pid");
  const running = create(command, { create: `sleep 60 & echo $! > ${file}; wait` });
  const pid = await waitFor("the command has started its child", 5000, () => Number(readFileSync(file, "utf8").trim()) || undefined);
  runner.stopAll();
  await assert.rejects(running, /signal: SIGTERM/);
  await waitFor("the child has ended", 5000, () => !isAlive(pid));
});
