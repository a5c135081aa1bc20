import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

const project = join(import.meta.dirname, "../..");
/** Inside the checkout, as the README says; the example's paths are relative to it. */
const directory = mkdtempSync(join(project, "readme-example-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

test("the README's own program previews as it is written", () => {
  const readme = readFileSync(join(project, "README.md"), "utf8");
  for (const file of ["Pulumi.yaml", "index.ts"]) {
    const block = new RegExp(`\`\`\`\\w+\\n(?:#|//) orders/${file.replace(".", "\\.")}\\n([^]*?)\`\`\``).exec(readme);
    writeFileSync(join(directory, file), block![1]!);
  }
  mkdirSync(join(directory, "state"));
  const pulumi = (...args: string[]): string => {
    const environment = { ...process.env, PULUMI_BACKEND_URL: `file://${directory}/state`, PULUMI_CONFIG_PASSPHRASE: "a passphrase" };
    const result = spawnSync(join(project, "toolchain/launcher/pulumi"), [...args, "--non-interactive", "--color", "never"], { cwd: directory, env: environment, encoding: "utf8", timeout: 120_000 });
    assert.equal(result.status, 0, result.stdout + result.stderr);
    return result.stdout;
  };
  pulumi("stack", "init", "dev");
  assert.match(pulumi("preview"), /\+ 146 to create/);
});
