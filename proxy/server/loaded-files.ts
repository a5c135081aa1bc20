import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { ConfigError } from "../config.ts";

/** The files that a proxy works with, as it has read them: what is on disk later may be something else. */
export class LoadedFiles {
  readonly #directory: string;
  readonly #hashes = new Map<string, string>();

  /** @param directory that the files' names start at */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Reads a file as text, and remembers what it held.
   *
   * @throws {ConfigError} it cannot be read
   */
  async read(file: string): Promise<string> {
    try {
      const bytes = await readFile(file);
      this.remember(file, createHash("sha256").update(bytes).digest("hex"));
      return bytes.toString("utf8");
    } catch (error) {
      throw new ConfigError([`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`]);
    }
  }

  /** Remembers a file that was read already, by its SHA-256 in hex. */
  remember(file: string, sha256: string): void {
    this.#hashes.set(relative(this.#directory, file), sha256);
  }

  /**
   * One SHA-256 over all of them: of a line `<name> <sha256>` for each, sorted by name. It tells nothing of a single one, which
   * may hold a weak password. `configurationHash` (components/proxy-version.ts) makes the same of what is declared.
   */
  get sha256(): string {
    const lines = [...this.#hashes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, hash]) => `${name} ${hash}\n`);
    return createHash("sha256").update(lines.join("")).digest("hex");
  }
}
