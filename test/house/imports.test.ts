import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const project = resolve(import.meta.dirname, "../..");

/** For each room, the rooms and packages that its files may import from; `types:` stands for imports of types only. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "proxy/resp": ["proxy/resp"],
  "proxy/routing": ["proxy/routing", "proxy/resp"],
  "proxy/cluster": ["proxy/cluster", "proxy/routing", "proxy/resp", "node:"],
  "proxy/access": ["proxy/access", "node:", "@peculiar/x509", "reflect-metadata"],
  "proxy/config": ["proxy/config", "proxy/access", "types:proxy", "node:", "yaml"],
  "proxy/server": ["proxy", "proxy/server", "proxy/cluster", "proxy/routing", "proxy/resp", "proxy/access", "proxy/config", "node:"],
  "proxy/workers": ["proxy", "proxy/workers", "proxy/server", "proxy/access", "node:"],
  components: ["components", "components/provider", "node:", "@pulumi/", "esbuild", "yaml"],
  "components/provider": ["components/provider", "components", "node:", "@pulumi/", "@grpc/", "google-protobuf", "ioredis"],
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function importsOf(room: string): Import[] {
  return globSync(`${room}/*.ts`, { cwd: project }).flatMap((file) => {
    const text = readFileSync(join(project, file), "utf8");
    return [...text.matchAll(/^(?:import|export) (type )?(?:[^;'"]*? from )?"([^"]+)";/gm)].map((match) => {
      const specifier = match[2]!;
      const target = specifier.startsWith(".") ? relative(project, dirname(resolve(project, dirname(file), specifier))) : specifier;
      return { file, target, typeOnly: match[1] !== undefined };
    });
  });
}

for (const [room, targets] of Object.entries(allowed)) {
  test(`${room} imports from ${targets.join(", ")} and nothing else`, () => {
    const imports = importsOf(room);
    assert.ok(imports.length > 0, `no imports found in ${room}: has it moved?`);
    const fits = ({ target, typeOnly }: Import): boolean =>
      targets.some((one) => {
        if (one.startsWith("types:")) return typeOnly && target === one.slice("types:".length);
        return one.endsWith(":") || one.endsWith("/") ? target.startsWith(one) : target === one || (!target.startsWith("proxy") && !target.startsWith("components") && target.startsWith(`${one}/`));
      });
    assert.deepEqual(imports.filter((one) => !fits(one)), []);
  });
}
