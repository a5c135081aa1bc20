/**
 * Bundles the bridge and installs it into this checkout's `.pulumi` directory: the language host beside the engine,
 * where the engine looks for it, the resource plugins by `pulumi plugin install`, as any plugin is.
 *
 * Usage: node install.ts <.pulumi directory>
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { build } from "esbuild";

import { BRIDGE_PLUGINS, type BridgePlugin } from "./plugins.ts";

const here = import.meta.dirname;

/** Bundles one program to a single file; CommonJS, because what it bundles is. */
async function bundle(entryPoint: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [path.join(here, entryPoint)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    minifyWhitespace: true,
    logLevel: "warning",
  });
}

/**
 * A script that starts a bundle with the checkout's own Node, whatever `node` is first on PATH.
 *
 * @param toCheckout from the script's directory to the checkout, so that a checkout can be moved
 */
function launcher(toCheckout: string, bundleName: string): string {
  return `#!/bin/sh\nhere=\${0%/*}\nexec "$here/${toCheckout}/node_modules/.bin/node" "$here/${bundleName}" "$@"\n`;
}

/** Writes an executable so that a process starting it sees the old one or the new one, never half of it. */
function writeExecutable(file: string, text: string): void {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, text);
  chmodSync(temporary, 0o755);
  renameSync(temporary, file);
}

async function installLanguageHost(stateDirectory: string): Promise<void> {
  const bin = path.join(stateDirectory, "bin");
  mkdirSync(bin, { recursive: true });
  const temporary = path.join(bin, `language-nodejs.cjs.${process.pid}`);
  await bundle("language-nodejs/main.ts", temporary);
  renameSync(temporary, path.join(bin, "language-nodejs.cjs"));
  writeExecutable(path.join(bin, "pulumi-language-nodejs"), launcher("../..", "language-nodejs.cjs"));
}

async function installPlugin(plugin: BridgePlugin, stateDirectory: string): Promise<void> {
  const work = mkdtempSync(path.join(stateDirectory, "bridge-"));
  try {
    const contents = path.join(work, "plugin");
    mkdirSync(contents);
    await bundle(plugin.entryPoint, path.join(contents, "main.cjs"));
    // Installed as <state>/home/plugins/resource-<name>-v<version>: four levels below the checkout.
    writeExecutable(path.join(contents, `pulumi-resource-${plugin.name}`), launcher("../../../..", "main.cjs"));
    const archive = path.join(work, "plugin.tar.gz");
    execFileSync("tar", ["-czf", archive, "-C", contents, "."]);
    execFileSync(
      path.join(stateDirectory, "bin", "pulumi"),
      ["plugin", "install", "resource", plugin.name, plugin.version, "--file", archive, "--reinstall", "--color", "never"],
      { env: { ...process.env, PULUMI_HOME: path.join(stateDirectory, "home"), PULUMI_SKIP_UPDATE_CHECK: "true" }, stdio: ["ignore", "ignore", "inherit"] },
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const [stateDirectory] = process.argv.slice(2);
if (stateDirectory === undefined) {
  process.stderr.write("usage: node install.ts <.pulumi directory>\n");
  process.exit(2);
}
await installLanguageHost(path.resolve(stateDirectory));
for (const plugin of BRIDGE_PLUGINS) await installPlugin(plugin, path.resolve(stateDirectory));
