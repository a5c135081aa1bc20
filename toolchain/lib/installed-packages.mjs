/**
 * Ends with exit code 0 if node_modules holds what package-lock.json names, by npm's own record of what it installed.
 * Optional packages may be missing: they are for other machines. Plain JavaScript, because any Node may run it.
 *
 * Usage: node installed-packages.mjs <checkout>
 */
import { readFileSync } from "node:fs";
import path from "node:path";

const checkout = process.argv[2] ?? ".";

/** @param {string} file */
function packagesIn(file) {
  return JSON.parse(readFileSync(path.join(checkout, file), "utf8")).packages;
}

try {
  const wanted = packagesIn("package-lock.json");
  const installed = packagesIn("node_modules/.package-lock.json");
  const same = Object.entries(wanted).every(([where, { version, integrity, link, optional }]) => {
    if (where === "" || link || !where.startsWith("node_modules/")) return true;
    const there = installed[where];
    return there === undefined ? optional === true : there.version === version && there.integrity === integrity;
  });
  process.exit(same ? 0 : 1);
} catch {
  process.exit(1);
}
