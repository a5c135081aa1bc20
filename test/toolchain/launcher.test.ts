import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";

import { Checkout } from "./support/checkout.ts";

/** Prints what it was started as and with, one fact per line. */
const REPORT = `echo "engine=$0"; echo "args=$*"; env | grep -E '^(PULUMI_|PATH=|NODE_OPTIONS=|REDIS_ACCESS_PULUMI_DEBUG=)'`;

let checkout: Checkout;

beforeEach(() => {
  checkout = new Checkout();
  checkout.script("pulumi", REPORT, path.join(checkout.directory, ".pulumi/bin"));
  checkout.script("pulumi-language-nodejs", "", path.join(checkout.directory, ".pulumi/bin"));
});
afterEach(() => {
  checkout.remove();
});

/** What the engine that the launcher started reports, by name. */
function launch(args: readonly string[] = ["up"], environment: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const { stdout, stderr, status } = checkout.run("toolchain/launcher/pulumi", args, environment);
  assert.equal(status, 0, stderr);
  return Object.fromEntries(stdout.trim().split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** Installs a Pulumi on PATH as Pulumi's own installation does: with the language host beside it, and plugins below ~/.pulumi. */
function installPulumi(plugins: readonly string[]): void {
  checkout.script("pulumi", REPORT).script("pulumi-language-nodejs", "");
  for (const plugin of plugins) mkdirSync(path.join(checkout.home, ".pulumi/plugins", plugin), { recursive: true });
}

/** Logs the user's own Pulumi in. */
function logIn(): void {
  mkdirSync(path.join(checkout.home, ".pulumi"), { recursive: true });
  writeFileSync(path.join(checkout.home, ".pulumi/credentials.json"), JSON.stringify({ current: "https://api.pulumi.com" }, null, 4));
}

describe("the engine", () => {
  test("is the one of the checkout where no Pulumi is installed", () => {
    const report = launch(["stack", "ls"]);
    assert.equal(report.engine, path.join(checkout.directory, ".pulumi/bin/pulumi"));
    assert.equal(report.args, "stack ls");
    assert.equal(report.PULUMI_HOME, path.join(checkout.directory, ".pulumi/home"));
    assert.equal(report.PULUMI_SKIP_UPDATE_CHECK, "true");
  });

  test("is the installed one where that finds its language host and plugins", () => {
    installPulumi(["resource-tls-v5.6.1", "resource-command-v1.2.1"]);
    const report = launch();
    assert.equal(report.engine, path.join(checkout.bin, "pulumi"));
    assert.equal(report.PULUMI_HOME, undefined);
  });

  test("is not the installed one where that lacks a plugin", () => {
    installPulumi(["resource-tls-v5.6.1", "resource-command-v1.0.0"]);
    assert.equal(launch().engine, path.join(checkout.directory, ".pulumi/bin/pulumi"));
  });

  test("is not the installed one where that lacks its language host", () => {
    installPulumi(["resource-tls-v5.6.1", "resource-command-v1.2.1"]);
    checkout.without("pulumi-language-nodejs");
    assert.equal(launch().engine, path.join(checkout.directory, ".pulumi/bin/pulumi"));
  });

  test("is the installed one where its plugins are on PATH", () => {
    installPulumi([]);
    checkout.script("pulumi-resource-tls", "").script("pulumi-resource-command", "");
    assert.equal(launch().engine, path.join(checkout.bin, "pulumi"));
  });

  test("is never the launcher itself, which stands on PATH too", () => {
    checkout.script("pulumi", `exec ${checkout.directory}/toolchain/launcher/pulumi "$@"`);
    checkout.without("pulumi");
    const report = launch(["up"], { PATH: `${path.join(checkout.directory, "toolchain/launcher")}:${checkout.bin}` });
    assert.equal(report.engine, path.join(checkout.directory, ".pulumi/bin/pulumi"));
  });

  test("finds the checkout's Node before any other", () => {
    assert.equal(launch().PATH?.split(":")[0], path.join(checkout.directory, "node_modules/.bin"));
    installPulumi(["resource-tls-v5.6.1", "resource-command-v1.2.1"]);
    assert.equal(launch().PATH?.split(":")[0], path.join(checkout.directory, "node_modules/.bin"));
  });

  test("has Node load the SDK's parts on demand, beside what the user has Node do", () => {
    assert.equal(launch().NODE_OPTIONS, `--require="${checkout.directory}/toolchain/launcher/sdk-on-demand.cjs"`);
    assert.match(launch(["up"], { NODE_OPTIONS: "--stack-trace-limit=50" }).NODE_OPTIONS!, /^--stack-trace-limit=50 --require="/);
  });

  test("lets the SDK say all it has where that is asked for", () => {
    for (const args of [["up"], ["up", "--yes", "-s", "dev"], ["preview", "--diff"]]) assert.equal(launch(args).REDIS_ACCESS_PULUMI_DEBUG, undefined);
    for (const flag of ["--debug", "-d", "-yd", "-v=9", "--verbose=9", "--logtostderr"]) assert.equal(launch(["up", flag]).REDIS_ACCESS_PULUMI_DEBUG, "true", flag);
  });

  test("that is not set up yet is said to be so, with what to type", () => {
    checkout.script("pulumi-language-nodejs", "").without("pulumi");
    checkout.run("test-bin/rm", ["-rf", path.join(checkout.directory, ".pulumi/bin")]);
    const { status, stderr } = checkout.run("toolchain/launcher/pulumi", ["up"]);
    assert.equal(status, 1);
    assert.match(stderr, /not set up yet\. Type: npm run setup/);
  });
});

describe("the backend", () => {
  test("is the checkout's own, with a generated passphrase that nobody else can read", () => {
    const report = launch();
    assert.equal(report.PULUMI_BACKEND_URL, `file://${checkout.directory}?metadata=skip`);
    const file = report.PULUMI_CONFIG_PASSPHRASE_FILE!;
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(readFileSync(file, "utf8"), /^[0-9a-f]{64}$/);
  });

  test("is freed of the attributes that a killed Pulumi has left empty, and of no others", () => {
    const stacks = checkout.makeDirectory(".pulumi/stacks/redis-access");
    for (const [name, content] of [["dev.json", "{}"], ["dev.json.attrs", ""], ["prod.json.attrs", "{}"]] as const) writeFileSync(path.join(stacks, name), content);
    launch();
    assert.deepEqual(readdirSync(stacks).sort(), ["dev.json", "prod.json.attrs"]);
  });

  test("keeps its passphrase", () => {
    const first = readFileSync(launch().PULUMI_CONFIG_PASSPHRASE_FILE!, "utf8");
    assert.equal(readFileSync(launch().PULUMI_CONFIG_PASSPHRASE_FILE!, "utf8"), first);
  });

  test("takes the user's passphrase where there is one, be it empty", () => {
    assert.equal(launch(["up"], { PULUMI_CONFIG_PASSPHRASE: "" }).PULUMI_CONFIG_PASSPHRASE_FILE, undefined);
    assert.equal(launch(["up"], { PULUMI_CONFIG_PASSPHRASE_FILE: "/mine" }).PULUMI_CONFIG_PASSPHRASE_FILE, "/mine");
  });

  test("is the one the user has named, whose passphrase is the user's affair", () => {
    const report = launch(["up"], { PULUMI_BACKEND_URL: "s3://state" });
    assert.equal(report.PULUMI_BACKEND_URL, "s3://state");
    assert.equal(report.PULUMI_CONFIG_PASSPHRASE_FILE, undefined);
  });

  test("is the one the user is logged in to, by Pulumi's own credentials", () => {
    logIn();
    const report = launch();
    assert.equal(report.PULUMI_BACKEND_URL, undefined);
    assert.equal(report.PULUMI_CREDENTIALS_PATH, path.join(checkout.home, ".pulumi"));
  });

  test("is the user's where there is an access token", () => {
    assert.equal(launch(["up"], { PULUMI_ACCESS_TOKEN: "pul-123" }).PULUMI_BACKEND_URL, undefined);
  });

  test("is left to the command that logs in, which does so where the user's own Pulumi does", () => {
    const report = launch(["login", "s3://state"]);
    assert.equal(report.PULUMI_BACKEND_URL, undefined);
    assert.equal(report.PULUMI_CREDENTIALS_PATH, path.join(checkout.home, ".pulumi"));
  });

  test("is the checkout's own again where the user has logged out", () => {
    logIn();
    writeFileSync(path.join(checkout.home, ".pulumi/credentials.json"), JSON.stringify({ current: "" }, null, 4));
    assert.equal(launch().PULUMI_BACKEND_URL, `file://${checkout.directory}?metadata=skip`);
  });

  test("is the one that Pulumi.yaml names, if it names one", () => {
    writeFileSync(path.join(checkout.directory, "Pulumi.yaml"), "name: x\nbackend:\n  url: s3://state\n");
    assert.equal(launch().PULUMI_BACKEND_URL, undefined);
  });
});
