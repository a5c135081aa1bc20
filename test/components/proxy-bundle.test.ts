import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bundleProxy } from "../../components/proxy-bundle.ts";

const directory = mkdtempSync(join(tmpdir(), "redis-access-bundle-"));
const target = join(directory, "proxy.mjs");
const provenance = `${target}.json`;
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

const bundle = bundleProxy(target);
const [content, word] = [readFileSync(target), readFileSync(provenance, "utf8")];

test("a bundle that was made from these very sources is left alone", () => {
  const before = statSync(target);
  assert.deepEqual(bundleProxy(target), bundle);
  assert.deepEqual(statSync(target), before);
});

test("all that is in it is known: the project's own sources, and packages", () => {
  const { inputs } = JSON.parse(word) as { inputs: string[] };
  for (const name of ["proxy/main.ts", "proxy/server/session.ts"]) assert.ok(inputs.includes(name), name);
  assert.ok(inputs.some((name) => name.includes("node_modules/@peculiar/x509/")));
});

const harms: readonly (readonly [string, () => void])[] = [
  ["was changed by hand", () => { appendFileSync(target, "process.exit(0);\n"); }],
  ["is gone", () => { rmSync(target); }],
  ["was made from other sources", () => { writeFileSync(provenance, word.replace(/"sources":"[0-9a-f]{4}/, '"sources":"0000')); }],
  ["had an input that is there no more", () => { writeFileSync(provenance, word.replace('"proxy/main.ts"', '"proxy/former-main.ts"')); }],
  ["has lost the word of what it was made from", () => { rmSync(provenance); }],
  ["has a torn word of what it was made from", () => { writeFileSync(provenance, "{"); }],
];

for (const [name, harm] of harms) {
  test(`a bundle that ${name} is made anew`, () => {
    harm();
    assert.deepEqual(bundleProxy(target), bundle);
    assert.ok(readFileSync(target).equals(content));
    assert.equal(readFileSync(provenance, "utf8"), word);
  });
}
