import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/** The checkout that the tests are of. */
export const PROJECT = path.resolve(import.meta.dirname, "../../..");

/** What the scripts may rest on: the commands of a minimal Debian, and those whose absence set-up has to notice. */
const COMMANDS = [
  ...["apt-get", "bash", "cat", "chmod", "cp", "cut", "dirname", "env", "find", "flock", "grep", "gzip", "head", "id", "ln", "mkdir", "mktemp", "mv", "node"],
  ...["npm", "od", "python3", "readlink", "rm", "sed", "setpriv", "sh", "sha256sum", "sleep", "sort", "stat", "tail", "tar", "timeout", "tr", "true", "uname", "wc", "xargs"],
];
const SYSTEM_PATH = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/** A bare copy of what set-up and the launcher consist of, in a temporary directory of its own. */
export class Checkout {
  readonly directory: string;
  /** The only directory on PATH: this machine's tools, with what a test adds and less what it takes away. */
  readonly bin: string;
  readonly home: string;

  constructor() {
    this.directory = realpathSync(mkdtempSync(path.join(tmpdir(), "checkout-")));
    this.bin = this.makeDirectory("test-bin");
    this.home = this.makeDirectory("test-home");
    cpSync(path.join(PROJECT, "toolchain"), path.join(this.directory, "toolchain"), { recursive: true });
    const shared = "components/provider/engine-log.ts";
    mkdirSync(path.join(this.directory, path.dirname(shared)), { recursive: true });
    copyFileSync(path.join(PROJECT, shared), path.join(this.directory, shared));
    copyFileSync(path.join(PROJECT, "package-lock.json"), path.join(this.directory, "package-lock.json"));
    for (const name of COMMANDS) {
      const found = SYSTEM_PATH.map((directory) => path.join(directory, name)).find((file) => existsSync(file));
      if (found !== undefined) symlinkSync(found, path.join(this.bin, name));
    }
  }

  makeDirectory(...names: string[]): string {
    const directory = path.join(this.directory, ...names);
    mkdirSync(directory, { recursive: true });
    return directory;
  }

  /** Takes commands off PATH. */
  without(...names: string[]): this {
    for (const name of names) rmSync(path.join(this.bin, name), { force: true });
    return this;
  }

  /** Puts a shell script on PATH in place of a command, or anywhere else in the checkout. */
  script(name: string, body: string, directory = this.bin): this {
    mkdirSync(directory, { recursive: true });
    const file = path.join(directory, name);
    rmSync(file, { force: true }); // never write through a link to this machine's own command
    writeFileSync(file, `#!/bin/sh\n${body}\n`);
    chmodSync(file, 0o755);
    return this;
  }

  /** Makes the npm packages of the real checkout those of this one. */
  withNpmPackages(): this {
    symlinkSync(path.join(PROJECT, "node_modules"), path.join(this.directory, "node_modules"));
    return this;
  }

  /** Runs a program of this checkout with an environment that has nothing but what is given. */
  run(command: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): SpawnSyncReturns<string> {
    return spawnSync(path.join(this.directory, command), args, {
      cwd: this.directory,
      env: { PATH: this.bin, HOME: this.home, ...environment },
      encoding: "utf8",
      timeout: 60_000,
    });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
