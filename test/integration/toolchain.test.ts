/** The launcher, the engine, the language host and the plugins together, with programs and states of their own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, test } from "node:test";

import { isAlive } from "../support/is-alive.ts";
import { waitFor } from "../support/wait-for.ts";

const PROJECT = path.resolve(import.meta.dirname, "../..");
const LAUNCHER = path.join(PROJECT, "toolchain/launcher/pulumi");
const TIMEOUT_MS = 120_000;

const PROGRAM = `
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { local } from "@pulumi/command";

const config = new pulumi.Config();
const kind: { algorithm: string; ecdsaCurve: string } = { algorithm: "ECDSA", ecdsaCurve: "P256" };
const caKey = new tls.PrivateKey("ca", kind);
const ca = new tls.SelfSignedCert("ca", {
  privateKeyPem: caKey.privateKeyPem, allowedUses: ["cert_signing"], isCaCertificate: true,
  validityPeriodHours: 24, subject: { commonName: "Test CA" },
});
const key = new tls.PrivateKey("leaf", kind);
const request = new tls.CertRequest("leaf", { privateKeyPem: key.privateKeyPem, subject: { commonName: config.get("name") ?? "leaf" } });
const leaf = new tls.LocallySignedCert("leaf", {
  caCertPem: ca.certPem, caPrivateKeyPem: caKey.privateKeyPem, certRequestPem: request.certRequestPem,
  allowedUses: ["client_auth"], validityPeriodHours: 24,
});
const greeting = new local.Command("greeting", {
  create: "echo created; cat >/dev/null", stdin: config.getSecret("password") ?? "", delete: "echo $PULUMI_COMMAND_STDOUT > " + process.env.DELETED_FILE,
  environment: { NAME: config.get("name") ?? "leaf" }, triggers: [config.get("trigger") ?? "1"],
});
export const node = process.version;
export const caCert = ca.certPem;
export const cert = leaf.certPem;
export const privateKey = key.privateKeyPem;
export const stdout = greeting.stdout;
export const ran = (await local.run({ command: "echo at once" })).stdout;
`;

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A Pulumi project in a temporary directory, with a state of its own. */
class Project {
  readonly directory = mkdtempSync(path.join(tmpdir(), "toolchain-"));
  readonly environment: Readonly<Record<string, string>>;

  constructor(program: string) {
    mkdirSync(path.join(this.directory, "state"));
    writeFileSync(path.join(this.directory, "Pulumi.yaml"), "name: toolchain-test\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.ts\n");
    writeFileSync(path.join(this.directory, "package.json"), '{ "type": "module" }');
    symlinkSync(path.join(PROJECT, "node_modules"), path.join(this.directory, "node_modules"));
    this.write(program);
    this.environment = {
      ...(process.env as Record<string, string>),
      // An old Node first on PATH must not matter.
      PATH: `${this.directory}/bin:${process.env.PATH ?? ""}`,
      PULUMI_BACKEND_URL: `file://${this.directory}/state`,
      PULUMI_CONFIG_PASSPHRASE: "a passphrase",
      DELETED_FILE: path.join(this.directory, "deleted"),
    };
    mkdirSync(path.join(this.directory, "bin"));
    writeFileSync(path.join(this.directory, "bin/node"), "#!/bin/sh\necho 'the wrong node' >&2\nexit 1\n", { mode: 0o755 });
  }

  write(program: string): void {
    writeFileSync(path.join(this.directory, "index.ts"), program);
  }

  pulumi(...args: string[]): Result {
    return spawnSync(LAUNCHER, [...args, "--non-interactive", "--color", "never"], { cwd: this.directory, env: this.environment, encoding: "utf8", timeout: TIMEOUT_MS });
  }

  /** Runs Pulumi and expects it to succeed. */
  succeed(...args: string[]): string {
    const { status, stdout, stderr } = this.pulumi(...args);
    assert.equal(status, 0, `pulumi ${args.join(" ")}:\n${stdout}${stderr}`);
    return stdout;
  }

  outputs(): Readonly<Record<string, string>> {
    return JSON.parse(this.succeed("stack", "output", "--json", "--show-secrets")) as Readonly<Record<string, string>>;
  }

  /** The state as it is stored, with secrets encrypted. */
  state(): string {
    return readFileSync(path.join(this.directory, "state/.pulumi/stacks/toolchain-test/dev.json"), "utf8");
  }

  start(...args: string[]): ChildProcess {
    return spawn(LAUNCHER, [...args, "--non-interactive", "--color", "never"], { cwd: this.directory, env: this.environment, stdio: "ignore" });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

describe("a stack of certificates and commands", () => {
  let project: Project;

  before(() => {
    project = new Project(PROGRAM);
    project.succeed("stack", "init", "dev");
    project.succeed("config", "set", "--secret", "password", "hunter2");
    project.succeed("up", "--yes", "--skip-preview");
  });
  after(() => {
    project.remove();
  });

  test("runs on the Node of the checkout, as TypeScript", () => {
    assert.equal(project.outputs().node, process.version);
    assert.match(process.version, /^v24\./);
  });

  test("has certificates that verify, and what the commands wrote", () => {
    const { caCert, cert, stdout, ran } = project.outputs();
    assert.ok(new X509Certificate(cert!).verify(new X509Certificate(caCert!).publicKey));
    assert.equal(stdout, "created");
    assert.equal(ran, "at once");
  });

  test("keeps private keys and passwords out of what it shows, and encrypted in the state", () => {
    const shown = project.succeed("stack", "output", "--json");
    assert.match(shown, /"privateKey": "\[secret\]"/);
    assert.doesNotMatch(project.state(), /PRIVATE KEY|hunter2/);
  });

  test("is unchanged in a preview, a refresh and an update", () => {
    project.succeed("preview", "--expect-no-changes");
    project.succeed("preview", "--refresh", "--expect-no-changes");
    project.succeed("refresh", "--yes", "--skip-preview", "--expect-no-changes");
    assert.match(project.succeed("up", "--yes", "--skip-preview"), /Resources:\n {4}7 unchanged/);
  });

  test("replaces what a change concerns, and nothing else", () => {
    const before = project.outputs();
    const shown = project.succeed("up", "--yes", "--skip-preview", "--config", "name=renamed", "--config", "trigger=2");
    assert.match(shown, /\+-3 replaced\n {4}4 unchanged/);
    const now = project.outputs();
    assert.equal(now.caCert, before.caCert);
    assert.equal(now.privateKey, before.privateKey);
    assert.equal(new X509Certificate(now.cert!).subject, "CN=renamed");
    assert.equal(readFileSync(path.join(project.directory, "deleted"), "utf8"), "created\n");
  });

  test("tells of itself by `pulumi about`", () => {
    assert.match(project.succeed("about"), /written in nodejs: executable='.*node_modules\/node\/bin\/node' version='v24\./);
  });

  test("moves its state out and in again", () => {
    const file = path.join(project.directory, "export.json");
    project.succeed("stack", "export", "--file", file);
    project.succeed("stack", "import", "--file", file);
    project.succeed("preview", "--expect-no-changes");
  });

  test("is gone after it is destroyed, and its delete command has run", () => {
    rmSync(path.join(project.directory, "deleted"), { force: true });
    project.succeed("destroy", "--yes", "--skip-preview");
    assert.ok(existsSync(path.join(project.directory, "deleted")));
    assert.equal(project.succeed("stack", "output", "--json").trim(), "{}");
  });
});

describe("a program that is wrong", () => {
  let project: Project;

  before(() => {
    project = new Project("");
    project.succeed("stack", "init", "dev");
  });
  after(() => {
    project.remove();
  });

  const failure = (program: string): string => {
    project.write(program);
    const { status, stdout, stderr } = project.pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(status, 0);
    return stdout + stderr;
  };

  test("ends the update with its own error", () => {
    assert.match(failure('throw new Error("the sky is too low");'), /the sky is too low/);
  });

  test("with an input that cannot be is told which and why", () => {
    const shown = failure('import * as tls from "@pulumi/tls";\nnew tls.PrivateKey("key", { algorithm: "DSA" });');
    assert.match(shown, /algorithm is "DSA": give one of RSA, ECDSA, ED25519/);
  });

  test("with a command that fails is told what the command wrote", () => {
    const shown = failure('import { local } from "@pulumi/command";\nnew local.Command("c", { create: "echo no such luck >&2; exit 4" });');
    assert.match(shown, /exit status 4: running "echo no such luck >&2; exit 4":/);
    assert.match(shown, /\n.*no such luck/);
  });

  test("that wants a command on another machine is told what that takes", () => {
    const shown = failure('import { remote } from "@pulumi/command";\nnew remote.Command("c", { connection: { host: "192.0.2.1" }, create: "true" });');
    assert.match(shown, /command:remote:Command needs the official command plugin.*pulumi plugin install resource command 1\.2\.1/);
  });
});

describe("an update that is cut off", () => {
  let project: Project;
  let pidFile: string;
  let engine: ChildProcess | undefined;

  before(() => {
    project = new Project("");
    pidFile = path.join(project.directory, "pid");
    project.succeed("stack", "init", "dev");
    project.write(`import { local } from "@pulumi/command";\nnew local.Command("slow", { create: "echo $$ >${pidFile}; exec sleep 300" });`);
  });
  afterEach(() => {
    engine?.kill("SIGKILL"); // where a test has failed before its end
  });
  after(() => {
    project.remove();
  });

  /** Starts an update that takes very long, and returns the processes of its engine and its command. */
  const startSlowly = async (): Promise<{ engine: ChildProcess; command: number }> => {
    rmSync(pidFile, { force: true });
    // Locks of an update that was killed are not what is tested here.
    rmSync(path.join(project.directory, "state/.pulumi/locks"), { recursive: true, force: true });
    engine = project.start("up", "--yes", "--skip-preview");
    const command = await waitFor("the command runs", 30_000, () => Number(readFileSync(pidFile, "utf8").trim()) || undefined);
    return { engine, command };
  };

  test("by an interrupt stops what it had started, and ends", { timeout: TIMEOUT_MS }, async () => {
    const started = await startSlowly();
    const ended = once(started.engine, "close");
    started.engine.kill("SIGINT");
    await waitFor("the command is gone", 30_000, () => !isAlive(started.command));
    await ended;
  });

  test("by SIGKILL leaves no process behind", { timeout: TIMEOUT_MS }, async () => {
    const started = await startSlowly();
    const children = descendants(started.engine.pid!);
    assert.ok(children.length >= 3, "the language host, the program and the plugin");
    started.engine.kill("SIGKILL");
    await waitFor("all of its processes are gone", 30_000, () => [started.command, ...children].every((pid) => !isAlive(pid)));
  });
});

/** The process ids of a process's children, whichever of its threads started them, and of theirs. */
function descendants(pid: number): number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" "));
  const pids = children.filter((text) => text !== "").map(Number);
  return pids.flatMap((child) => [child, ...descendants(child)]);
}
