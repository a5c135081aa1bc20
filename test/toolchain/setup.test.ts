import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";

import { Checkout } from "./support/checkout.ts";

let checkout: Checkout;

beforeEach(() => {
  checkout = new Checkout();
  checkout.script("redis-server", 'echo "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=1"').script("redis-cli", "").script("openssl", "");
});
afterEach(() => {
  checkout.remove();
});

/** A Go that takes a moment to build an engine, which counts how often it is asked to. */
const FAKE_GO = [
  'case "$*" in "env GOVERSION") echo go1.26.1; exit;; "env GOTOOLCHAIN") echo local; exit;; *" list "*) echo cmd/pulumi; exit;; esac',
  'while [ "$1" != -o ]; do shift; done',
  'echo built >>"$HOME/builds"; sleep 0.5',
  'printf \'#!/bin/sh\\nif [ "$1 $2" = "plugin install" ]; then d="$PULUMI_HOME/plugins/resource-$4-v$5"; mkdir -p "$d"; tar -xzf "$7" -C "$d"; fi\\n\' >"$2"; chmod 755 "$2"',
].join("\n");

/** Runs set-up where it cannot go on; returns what it says, and checks that it is one message of the known form. */
function refused(environment: Readonly<Record<string, string>> = {}, ...args: string[]): string {
  const { status, stderr } = checkout.run("toolchain/setup.sh", args, { XDG_CACHE_HOME: checkout.makeDirectory("test-cache"), ...environment });
  assert.equal(status, 1);
  assert.equal(stderr.match(/Set-up cannot go on\./g)?.length, 1, stderr);
  assert.match(stderr, /\n {2}Missing: \S.*\n {2}Why: {5}\S.*\n {2}Type: {4}\S/);
  return stderr;
}

describe("set-up says what is missing, why it is needed and what to type", () => {
  test("where redis-server is missing and packages cannot be installed on this system", () => {
    checkout.without("redis-server", "apt-get");
    const message = refused();
    assert.match(message, /Missing: redis-server\n/);
    assert.match(message, /every node of the cluster is a redis-server process/);
  });

  /** Has apt-get say what it says there. Run as root, the script would change this machine; it is stood in for. */
  function aptSays(...lines: string[]): void {
    checkout.withNpmPackages().script("go", FAKE_GO);
    checkout.script("install-packages.sh", `${lines.map((line) => `echo "${line}"`).join("; ")}; exit 100`, path.join(checkout.directory, "toolchain/lib"));
    checkout.script("sudo", 'while [ "$1" = -n ]; do shift; done; exec "$@"');
  }

  test("where no archive has one of the packages, and names that one only", () => {
    checkout.without("redis-server", "redis-cli");
    aptSays("E: Unable to locate package redis-server");
    const message = refused();
    assert.match(message, /Missing: Debian packages that no archive known to apt has: redis-server\n/);
    assert.match(message, /Why: {5}redis-server: every node of the cluster is a redis-server process\n/);
    assert.match(message, /apt-get update && apt-get install redis-server redis-tools/);
  });

  test("where the archive cannot be reached, which apt-get reports as packages that it does not know", () => {
    checkout.without("redis-server");
    aptSays(
      "W: Failed to fetch http://deb.example.com/debian/dists/bookworm/InRelease  Temporary failure resolving 'deb.example.com'",
      "W: Failed to fetch http://deb.example.com/debian/dists/bookworm-updates/InRelease  Temporary failure resolving 'deb.example.com'",
      "E: Unable to locate package redis-server",
    );
    assert.match(refused(), /Missing: the Debian archive: http:\/\/deb\.example\.com does not answer\n/);
  });

  test("where a disk is full, whatever failed on it", () => {
    checkout.without("redis-cli");
    aptSays("E: You don't have enough free space in /var/cache/apt/archives/.");
    assert.match(refused(), /Missing: free space on a disk\n[^]*Type: {4}df -h /);
  });

  test("where apt-get fails in any other way, with its last words", () => {
    checkout.without("redis-cli");
    aptSays("E: dpkg was interrupted");
    const message = refused();
    assert.match(message, /\| E: dpkg was interrupted/);
    assert.match(message, /Missing: Debian packages that apt-get could not install: redis-tools/);
  });

  test("where there is no right to install packages", () => {
    checkout.without("redis-server", "sudo");
    // Root gives its rights away first.
    const asAnyone = process.getuid?.() === 0 ? "setpriv --reuid=65534 --clear-groups" : "";
    const { status, stderr } = checkout.run("test-bin/sh", ["-c", `chmod -R a+rwX . && exec ${asAnyone} bash toolchain/setup.sh`]);
    assert.equal(status, 1);
    assert.match(stderr, /Missing: the right to install Debian packages \(redis-server\)\n/);
    assert.match(stderr, /Type: {4}su -c 'apt-get update && apt-get install redis-server' /);
  });

  test("where another user's set-up has left files that this one may not write", { skip: process.getuid?.() !== 0 }, () => {
    checkout.makeDirectory(".pulumi");
    const { status, stderr } = checkout.run("test-bin/sh", ["-c", "chmod a+rwx . test-bin && exec setpriv --reuid=65534 --clear-groups bash toolchain/setup.sh"]);
    assert.equal(status, 1);
    assert.match(stderr, /Missing: the right to write .*\.pulumi, which belongs to root\n/);
    assert.match(stderr, /Type: {4}su -c 'chown -R /);
  });

  test("where redis-server is too old", () => {
    checkout.script("redis-server", 'echo "Redis server v=5.0.14 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64 build=1"');
    assert.match(refused(), /Missing: redis-server 6\.0 or newer: .*redis-server is 5\.0\.14\n/);
  });

  test("where npm is missing", () => {
    checkout.without("npm");
    assert.match(refused(), /Missing: npm, with Node 18 or newer\n/);
  });

  test("where npm is there and Node is not, or is too old", () => {
    checkout.script("node", 'echo "v16.20.2"');
    assert.match(refused(), /Missing: Node 18 or newer for npm: .*node is 16\.20\.2\n/);
    checkout.without("node");
    assert.match(refused(), /Missing: Node for npm: .*npm is there, but no node that runs\n/);
  });

  test("before it installs anything, where something else will be missing that it cannot install", () => {
    checkout.without("redis-server", "npm");
    checkout.script("sudo", 'while [ "$1" = -n ]; do shift; done; exec "$@"');
    checkout.script("install-packages.sh", 'echo called >"$HOME/called"; exit 100', path.join(checkout.directory, "toolchain/lib"));
    assert.match(refused(), /Missing: npm/);
    assert.equal(checkout.run("test-bin/cat", ["test-home/called"]).status, 1);
  });

  test("where the npm registry does not answer", () => {
    checkout.script("go", FAKE_GO).script("npm", 'case "$1" in config) echo https://registry.example.com/;; *) echo "npm error code ENOTFOUND"; exit 1;; esac');
    assert.match(refused(), /Missing: the npm registry: https:\/\/registry\.example\.com\/ does not answer/);
  });

  test("where npm fails in any other way, with its last words", () => {
    checkout.script("go", FAKE_GO).script("npm", 'echo "npm error code EINTEGRITY"; exit 1');
    const message = refused();
    assert.match(message, /\| npm error code EINTEGRITY/);
    assert.match(message, /Missing: npm packages that npm could not install/);
  });

  test("where neither Pulumi nor a Go that can build it is there", () => {
    checkout.withNpmPackages().script("go", 'case "$*" in "env GOVERSION") echo go1.19.8;; *) echo;; esac');
    assert.match(refused(), /Missing: Pulumi, and Go 1\.21 or newer to build it \(this machine has Go 1\.19\)/);
  });

  // Set-up looks in /usr/local/go too, whatever PATH says.
  test("where there is no Pulumi and no Go at all", { skip: existsSync("/usr/local/go/bin/go") && "Go is installed" }, () => {
    checkout.withNpmPackages().without("go");
    assert.match(refused(), /Missing: Pulumi, and Go 1\.25 or newer to build it\n/);
  });

  test("where Go may not fetch the version that it needs", () => {
    checkout.withNpmPackages().script("go", 'case "$*" in "env GOVERSION") echo go1.23.1;; "env GOTOOLCHAIN") echo local;; esac');
    assert.match(refused(), /Missing: Pulumi, and Go 1\.25 or newer to build it \(this machine has Go 1\.23\)/);
  });

  test("where the build fails, with its last words, and leaves nothing half-built behind", () => {
    checkout.withNpmPackages().script("go", 'case "$*" in "env GOVERSION") echo go1.26.1;; "env GOTOOLCHAIN") echo local;; *) echo "dial tcp: lookup proxy.golang.org: no such host" >&2; exit 1;; esac');
    const message = refused();
    assert.match(message, /\| dial tcp: lookup proxy\.golang\.org: no such host/);
    assert.match(message, /Missing: the Pulumi CLI: it is not installed, and building it from Go modules failed/);
    const { stdout } = checkout.run("test-bin/find", ["test-cache", "-name", "pulumi*", "-type", "f"]);
    assert.equal(stdout, "");
  });
});

describe("set-up", () => {
  test("builds the engine once where two checkouts are set up at a time, and installs the plugins in each", () => {
    checkout.withNpmPackages().script("go", FAKE_GO);
    checkout.run("test-bin/sh", ["-c", "mkdir other && cp -a toolchain components package-lock.json node_modules other"]);
    const twice = "toolchain/setup.sh & one=$!; other/toolchain/setup.sh & two=$!; wait $one && wait $two";
    const { status, stderr } = checkout.run("test-bin/sh", ["-c", twice], { XDG_CACHE_HOME: path.join(checkout.directory, "test-cache") });
    assert.equal(status, 0, stderr);
    assert.equal(checkout.run("test-bin/cat", ["test-home/builds"]).stdout, "built\n");
    for (const where of [".", "other"]) {
      const { stdout } = checkout.run("test-bin/find", [path.join(where, ".pulumi/home/plugins"), "-name", "pulumi-resource-*"]);
      assert.equal(stdout.trim().split("\n").length, 2);
    }
  });

  test("done twice at a time in one checkout is done once", () => {
    checkout.withNpmPackages().script("go", FAKE_GO);
    const twice = "toolchain/setup.sh & one=$!; toolchain/setup.sh & two=$!; wait $one && wait $two";
    const { status, stdout, stderr } = checkout.run("test-bin/sh", ["-c", twice], { XDG_CACHE_HOME: path.join(checkout.directory, "test-cache") });
    assert.equal(status, 0, stderr);
    assert.equal(stdout.match(/Building the Pulumi CLI/g)?.length, 1, stdout);
    assert.equal(stdout.match(/Installing the Node language host/g)?.length, 1, stdout);
  });

  test("does nothing the second time, and rebuilds the plugins where their sources have changed", () => {
    checkout.withNpmPackages().script("go", FAKE_GO);
    const setUp = (): string => {
      const { stdout } = checkout.run("toolchain/setup.sh", [], { XDG_CACHE_HOME: path.join(checkout.directory, "test-cache") });
      // Said of whatever takes long, as everything does on a busy machine.
      return stdout.replace(/^ {2}(Set up in \d+ s\.| {2}still at it after .*)\n/gm, "");
    };
    assert.match(setUp(), /Building the Pulumi CLI[^]*Installing the Node language host/);
    assert.equal(setUp(), "");
    writeFileSync(path.join(checkout.directory, "toolchain/bridge/lib/changed.ts"), "export {};\n");
    assert.match(setUp(), /^ {2}Installing the Node language host[^\n]*\n$/);
  });

  test("takes the engine from the cache where another checkout has built it", () => {
    checkout.withNpmPackages().script("go", FAKE_GO);
    const environment = { XDG_CACHE_HOME: path.join(checkout.directory, "test-cache") };
    checkout.run("toolchain/setup.sh", [], environment);
    checkout.run("test-bin/rm", ["-rf", ".pulumi"]);
    checkout.without("go");
    const { status, stdout } = checkout.run("toolchain/setup.sh", [], environment);
    assert.equal(status, 0);
    assert.doesNotMatch(stdout, /Building/);
  });

  test("builds nothing where an installed Pulumi finds its plugins", () => {
    checkout.withNpmPackages().without("go").script("pulumi", "").script("pulumi-language-nodejs", "");
    for (const plugin of ["resource-tls-v5.6.1", "resource-command-v1.2.1"]) mkdirSync(path.join(checkout.home, ".pulumi/plugins", plugin), { recursive: true });
    const { status, stdout } = checkout.run("toolchain/setup.sh", []);
    assert.equal(status, 0);
    assert.equal(stdout, "");
  });

  test("lets an installed Pulumi fetch the plugins that it lacks", () => {
    checkout.withNpmPackages().without("go").script("pulumi-language-nodejs", "").script("pulumi", 'mkdir -p "$HOME/.pulumi/plugins/resource-$4-v$5"');
    const { status, stdout } = checkout.run("toolchain/setup.sh", []);
    assert.equal(status, 0);
    assert.match(stdout, /Installing the tls plugin of .*\n.*Installing the command plugin of /);
  });

  test("installs the packages that the tests need only where it is asked to", () => {
    const wanted = (...args: string[]): string => {
      checkout.script("install-packages.sh", 'echo "$@" >"$HOME/packages"; exit 100', path.join(checkout.directory, "toolchain/lib"));
      checkout.script("sudo", 'while [ "$1" = -n ]; do shift; done; exec "$@"').without("redis-cli").script("python3", "exit 1").script("go", FAKE_GO);
      checkout.run("toolchain/setup.sh", args);
      return checkout.run("test-bin/cat", ["test-home/packages"]).stdout;
    };
    assert.doesNotMatch(wanted(), /python3-venv/);
    assert.match(wanted("--tests"), /^redis-tools .*python3-venv/);
  });
});
