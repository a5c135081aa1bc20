import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildSync } from "esbuild";

/** The access proxy as one file that runs without node_modules. */
export interface ProxyBundle {
  /** Absolute path. */
  readonly path: string;
  readonly sha256: string;
}

const project = dirname(import.meta.dirname);

/**
 * Arguments of Node for the access proxy, before the program's path. What it allocates for a request is garbage as soon as the
 * reply is written: a young generation (16 MiB) that holds a moment's requests, and no full collection before the old generation
 * has grown to 128 MiB. With V8's defaults it collected twice a second under load, for a seventh of its processor time.
 */
export const proxyNodeArguments: readonly string[] = ["--min-semi-space-size=16", "--initial-old-space-size=128"];

/**
 * Bundles proxy/main.ts to one ES module. The same sources give the same bytes, wherever the checkout lies,
 * so that a proxy is restarted when its program has changed and only then.
 * @param target the file to write; it is written whole or not at all
 */
export function bundleProxy(target: string = join(project, "dist", "proxy.mjs")): ProxyBundle {
  const { outputFiles } = buildSync({
    entryPoints: ["proxy/main.ts"],
    absWorkingDir: project,
    bundle: true,
    write: false,
    platform: "node",
    target: "node24",
    format: "esm",
    charset: "utf8",
    legalComments: "none",
    logLevel: "silent",
    // CommonJS packages in an ES module ask for Node's own modules by require.
    banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' },
  });
  const content = Buffer.from(outputFiles[0]!.contents);
  const bundle = { path: target, sha256: createHash("sha256").update(content).digest("hex") };
  // A check that finds nothing changed writes nothing.
  if (existsSync(target) && readFileSync(target).equals(content)) return bundle;
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}.new`;
  writeFileSync(temporary, content);
  renameSync(temporary, target);
  return bundle;
}
