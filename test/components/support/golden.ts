import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "..", "golden");

/** The text of a file under golden/. */
export function readGolden(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}

/**
 * Compares a rendered text with the file of that name under golden/.
 * With UPDATE_GOLDEN=1 the file is written instead; the change then shows in the diff that is reviewed.
 */
export function assertGolden(name: string, actual: string): void {
  const file = join(folder, name);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, actual);
  assert.equal(actual, readGolden(name));
}
