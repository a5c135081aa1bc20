import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { runProgram } from "./run-program.ts";

const requirements = join(import.meta.dirname, "redis-py/requirements.txt");
const installLimitMs = 120_000;
const versionLimitMs = 60_000;

/**
 * Path of a Python that has redis-py as requirements.txt pins it: an environment of Python's own, made once for each user.
 * @throws Error that says what is missing and what to type
 */
export async function pythonWithRedisPy(): Promise<string> {
  const wanted = readFileSync(requirements);
  try {
    const version = await runProgram("python3", ["--version"], { limitMs: versionLimitMs });
    const name = createHash("sha256").update(version).update(wanted).digest("hex").slice(0, 16);
    const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "redis-access/redis-py");
    const directory = join(cache, name);
    if (!existsSync(directory)) await install(cache, directory);
    return join(directory, "bin/python");
  } catch (error) {
    const packages = wanted.toString().split("\n").filter((line) => /^[a-z]/.test(line)).map((line) => line.split(" ")[0]!);
    throw new Error(
      `redis-py cannot be had for its tests: ${packages.join(", ")} from PyPI, by python3 (3.10 or newer) and its module venv. ` +
        `Type: apt-get install python3-venv   (as root), and see that pip reaches PyPI or a mirror of it (pip config list)\n${String(error)}`,
      { cause: error },
    );
  }
}

/** Under a name of its own first, so that nobody ever finds half of it. */
async function install(cache: string, directory: string): Promise<void> {
  const fresh = join(cache, `.new-${randomUUID()}`);
  mkdirSync(cache, { recursive: true });
  try {
    await runProgram("python3", ["-m", "venv", fresh], { limitMs: installLimitMs });
    await runProgram(join(fresh, "bin/python"), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes", "--requirement", requirements], { limitMs: installLimitMs });
    renameSync(fresh, directory);
  } catch (error) {
    // Somebody else may have been first.
    if (!existsSync(directory)) throw error;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
