import { createHash } from "node:crypto";

/**
 * What a proxy that runs with these files answers at `/version` as its configuration: a SHA-256 over a line `<name> <sha256>` for
 * each, sorted by name.
 * @param contents by file name, `proxy.yaml` among them
 */
export function configurationHash(contents: Readonly<Record<string, string>>): string {
  const lines = Object.entries(contents).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, content]) => `${name} ${sha256(content)}\n`);
  return sha256(lines.join(""));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
