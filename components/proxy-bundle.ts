import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildSync, version } from "esbuild";
import type { BuildOptions } from "esbuild";

/** The access proxy as one file that runs without node_modules. */
export interface ProxyBundle {
  /** Absolute path. */
  readonly path: string;
  readonly sha256: string;
}

const project = dirname(import.meta.dirname);

/**
 * Arguments of Node for the access proxy, before the program's path. What it allocates for a request is garbage as soon as the
 * reply is written: a young generation (8 MiB) that holds a moment's requests, and no full collection before the old generation
 * has grown to 128 MiB. With V8's defaults it collected twice a second under load, for a seventh of its processor time. The last
 * one lets it collect what is young when sockets have brought much (proxy/cluster/chunk-garbage.ts).
 */
export const proxyNodeArguments: readonly string[] = ["--min-semi-space-size=8", "--max-semi-space-size=8", "--initial-old-space-size=128", "--expose-gc"];

const options = {
  entryPoints: ["proxy/main.ts"],
  absWorkingDir: project,
  bundle: true,
  write: false,
  metafile: true,
  platform: "node",
  target: "node24",
  format: "esm",
  charset: "utf8",
  legalComments: "none",
  logLevel: "silent",
  // CommonJS packages in an ES module ask for Node's own modules by require.
  banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' },
} as const satisfies BuildOptions;

/** What a bundle was made from, kept beside it. */
interface Provenance {
  /** Of the bundle. */
  readonly sha256: string;
  /** Every file that is in it, from the project's directory. */
  readonly inputs: readonly string[];
  /** Of all that it follows from: {@link sourcesHash}. */
  readonly sources: string;
}

/**
 * Bundles proxy/main.ts to one ES module. The same sources give the same bytes, wherever the checkout lies,
 * so that a proxy is restarted when its program has changed and only then. Where the file at `target` was made from these very
 * sources it is left as it is: every Pulumi command asks for it, and to bundle takes half a second.
 * @param target the file to write; it is written whole or not at all. What it was made from stands beside it, at `<target>.json`
 */
export function bundleProxy(target: string = join(project, "dist", "proxy.mjs")): ProxyBundle {
  const made = provenanceOf(target);
  if (made !== undefined && isCurrent(target, made)) return { path: target, sha256: made.sha256 };
  const { outputFiles, metafile } = buildSync(options);
  const content = outputFiles[0]!.contents;
  const inputs = Object.keys(metafile.inputs).sort();
  const provenance: Provenance = { sha256: sha256(content), inputs, sources: sourcesHash(inputs) };
  mkdirSync(dirname(target), { recursive: true });
  replaceFile(target, content);
  replaceFile(`${target}.json`, JSON.stringify(provenance));
  return { path: target, sha256: provenance.sha256 };
}

/** Undefined where there is none that can be read. */
function provenanceOf(target: string): Provenance | undefined {
  try {
    return JSON.parse(readFileSync(`${target}.json`, "utf8")) as Provenance;
  } catch {
    return undefined;
  }
}

function isCurrent(target: string, made: Provenance): boolean {
  try {
    return sourcesHash(made.inputs) === made.sources && sha256(readFileSync(target)) === made.sha256;
  } catch {
    return false; // one of them is gone
  }
}

/** SHA-256 of what decides the bundle: its inputs, how esbuild is told to put them together, and which packages stand where. */
function sourcesHash(inputs: readonly string[]): string {
  const hash = createHash("sha256").update(JSON.stringify([version, { ...options, absWorkingDir: "" }, inputs]));
  // What says how names are resolved may not be there, as in a package.
  for (const name of ["package-lock.json", "tsconfig.json"]) hash.update(`\0${existsSync(join(project, name)) ? hashOf(name) : "none"}`);
  for (const name of inputs) hash.update(`\0${hashOf(name)}`);
  return hash.digest("hex");
}

function hashOf(name: string): string {
  return sha256(readFileSync(join(project, name)));
}

function replaceFile(file: string, content: string | Uint8Array): void {
  const temporary = `${file}.${process.pid}.new`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
