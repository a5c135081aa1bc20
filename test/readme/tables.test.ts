import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";

const project = join(import.meta.dirname, "../..");
const readme = readFileSync(join(project, "README.md"), "utf8");

/** First cells, without backquotes, of the table below a heading. */
function rows(heading: string): string[][] {
  const section = readme.split(`\n### ${heading}\n`)[1]!.split("\n#")[0]!;
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", "")));
}

test("the table of configuration keys has those that Pulumi.yaml declares, each with its default", () => {
  const { config } = parse(readFileSync(join(project, "Pulumi.yaml"), "utf8")) as { config: Record<string, { default: unknown; description: string }> };
  assert.deepEqual(rows("Configuration").map(([key]) => key), Object.keys(config));
  for (const [key, shown] of rows("Configuration")) {
    const declared = config[key!]!.default;
    if (key === "directory") assert.equal(declared, "", "empty stands for .redis-access/<stack>");
    else if (key === "nodes") assert.match(shown!, /^127\.0\.0\.1:7001 … 7006$/);
    else assert.equal(shown, typeof declared === "string" ? declared : JSON.stringify(declared).replaceAll('"', ""), key);
  }
});

test("the table of outputs has those that the program exports", () => {
  const exported = [...readFileSync(join(project, "stacks/index.ts"), "utf8").matchAll(/^export const (\w+)/gm)].map((match) => match[1]!);
  assert.deepEqual(rows("Outputs").map(([name]) => name), exported);
});
