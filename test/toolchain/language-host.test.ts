import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { installedDependencies, requiredPlugins, runScript } from "../../toolchain/bridge/language-nodejs/required-plugins.ts";
import { type ProgramRun, runArguments, runEnvironment } from "../../toolchain/bridge/language-nodejs/run-arguments.ts";
import { engineAddressFrom } from "../../components/provider/engine-log.ts";

const RUN: ProgramRun = {
  monitorAddress: "127.0.0.1:1",
  engineAddress: "127.0.0.1:2",
  project: "p",
  stack: "s",
  organization: "o",
  rootDirectory: "/root",
  pwd: "/root/stacks",
  dryRun: true,
  parallel: 16,
  entryPoint: "index.ts",
  args: ["--a", "b"],
  config: { "p:password": "hunter2" },
  configSecretKeys: ["p:password"],
};

describe("the command line of a program", () => {
  test("has what the engine asked for, then the program and its arguments", () => {
    assert.deepEqual(runArguments(RUN), [
      ...["--monitor", "127.0.0.1:1", "--engine", "127.0.0.1:2", "--organization", "o", "--project", "p", "--root-directory", "/root"],
      ...["--stack", "s", "--pwd", "/root/stacks", "--parallel", "16", "--dry-run", "index.ts", "--a", "b"],
    ]);
  });

  test("leaves out what is empty, and runs the directory where no program is named", () => {
    const args = runArguments({ ...RUN, organization: "", rootDirectory: "", dryRun: false, entryPoint: "", args: [] });
    assert.deepEqual(args, ["--monitor", "127.0.0.1:1", "--engine", "127.0.0.1:2", "--project", "p", "--stack", "s", "--pwd", "/root/stacks", "--parallel", "16", "."]);
  });

  test("never has the configuration, which goes by the environment", () => {
    assert.ok(!runArguments(RUN).join(" ").includes("hunter2"));
    assert.deepEqual(runEnvironment(RUN, false), {
      PULUMI_CONFIG: '{"p:password":"hunter2"}',
      PULUMI_CONFIG_SECRET_KEYS: '["p:password"]',
      PULUMI_NODEJS_TYPESCRIPT: "false",
    });
  });
});

test("the engine's address is the last argument, unless that is a flag", () => {
  assert.equal(engineAddressFrom(["node", "main.cjs", "-v=9", "127.0.0.1:5"]), "127.0.0.1:5");
  assert.equal(engineAddressFrom(["node", "main.cjs", "-v=9"]), "");
});

describe("a program's npm packages", () => {
  let program: string;

  before(() => {
    program = mkdtempSync(path.join(tmpdir(), "language-host-"));
    const write = (file: string, content: object): void => {
      mkdirSync(path.dirname(path.join(program, file)), { recursive: true });
      writeFileSync(path.join(program, file), JSON.stringify(content));
    };
    write("package.json", { dependencies: { "@pulumi/tls": "5.6.1", "@example/cloud": "1", plain: "2", absent: "^3", "@pulumi/pulumi": "3" } });
    write("node_modules/@pulumi/tls/package.json", { name: "@pulumi/tls", version: "5.6.1", pulumi: { resource: true, name: "tls", version: "5.6.1" } });
    write("node_modules/@example/cloud/package.json", { name: "@example/cloud", version: "v1.2.3", pulumi: { resource: true, server: "https://example.com" } });
    write("node_modules/plain/package.json", { name: "plain", version: "2.0.0" });
    write("node_modules/@pulumi/pulumi/package.json", { name: "@pulumi/pulumi", version: "3.0.0" });
    write("node_modules/@pulumi/pulumi/cmd/run/index.js", {});
    mkdirSync(path.join(program, "stacks"));
  });
  after(() => {
    rmSync(program, { recursive: true });
  });

  test("name the plugins that it needs", () => {
    assert.deepEqual(requiredPlugins(path.join(program, "stacks")), [
      { name: "tls", version: "v5.6.1", server: "" },
      { name: "example/cloud", version: "v1.2.3", server: "https://example.com" },
    ]);
  });

  test("are listed with the versions that are installed, else with those asked for", () => {
    assert.deepEqual(installedDependencies(program).map(({ name, version }) => `${name} ${version}`), ["@pulumi/tls 5.6.1", "@example/cloud v1.2.3", "plain 2.0.0", "absent ^3", "@pulumi/pulumi 3.0.0"]);
  });

  test("have the script that runs it", () => {
    assert.ok(runScript(path.join(program, "stacks")).endsWith("node_modules/@pulumi/pulumi/cmd/run/index.js"));
  });
});
