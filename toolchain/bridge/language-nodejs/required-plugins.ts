import { readFileSync } from "node:fs";
import { createRequire, findPackageJSON } from "node:module";
import path from "node:path";

/** A resource plugin that a program's npm packages ask for. */
export interface RequiredPlugin {
  readonly name: string;
  readonly version: string;
  /** Where the plugin is downloaded from, if not from Pulumi's own place. */
  readonly server: string;
}

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly pulumi?: { readonly resource?: boolean; readonly name?: string; readonly version?: string; readonly server?: string };
}

/**
 * The plugins named by the `pulumi` section of the npm packages that a program depends on directly.
 *
 * @param directory any directory of the program; the nearest package.json above it counts
 */
export function requiredPlugins(directory: string): RequiredPlugin[] {
  const manifest = nearestPackageJson(directory);
  if (manifest === undefined) return [];
  const names = Object.keys(readPackageJson(manifest).dependencies ?? {});
  return names.flatMap((name) => {
    const file = packageJsonOf(name, manifest);
    const plugin = file === undefined ? undefined : pluginOf(readPackageJson(file));
    return plugin === undefined ? [] : [plugin];
  });
}

/** The npm packages a program depends on directly, with the versions that are installed. */
export function installedDependencies(directory: string): { name: string; version: string }[] {
  const manifest = nearestPackageJson(directory);
  if (manifest === undefined) return [];
  return Object.entries(readPackageJson(manifest).dependencies ?? {}).map(([name, range]) => {
    const file = packageJsonOf(name, manifest);
    return { name, version: (file === undefined ? undefined : readPackageJson(file).version) ?? range };
  });
}

/** The absolute path of the script that runs a program: `@pulumi/pulumi/cmd/run` as the program itself would find it. */
export function runScript(directory: string): string {
  return createRequire(path.join(directory, "program.js")).resolve("@pulumi/pulumi/cmd/run");
}

function nearestPackageJson(directory: string): string | undefined {
  return findPackageJSON(".", path.join(directory, "program.js"));
}

function packageJsonOf(name: string, from: string): string | undefined {
  try {
    return findPackageJSON(name, from);
  } catch {
    return undefined; // declared, but not installed: running the program will say so
  }
}

function readPackageJson(file: string): PackageJson {
  return JSON.parse(readFileSync(file, "utf8")) as PackageJson;
}

/** Naming as in the official host: `@pulumi/tls` is the plugin `tls`, any other scope loses its `@`. */
function pluginOf(manifest: PackageJson): RequiredPlugin | undefined {
  if (manifest.pulumi?.resource !== true) return undefined;
  const name = manifest.pulumi.name ?? manifest.name?.replace(/^@pulumi\//, "").replace(/^@/, "");
  const version = manifest.pulumi.version ?? manifest.version;
  if (name === undefined || version === undefined) return undefined;
  return { name, version: version.replace(/^v?/, "v"), server: manifest.pulumi.server ?? "" };
}
