import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";

import { describe as describeNode, nodeStatus } from "../../toolchain/commands/lib/node-status.ts";
import { proxyStatus } from "../../toolchain/commands/lib/proxy-status.ts";
import { absentStack, changesIn, PulumiFailedError } from "../../toolchain/commands/lib/pulumi.ts";
import { releaseStaleLocks } from "../../toolchain/commands/lib/stack.ts";
import { table } from "../../toolchain/commands/lib/style.ts";
import { connectionSummary } from "../../toolchain/commands/lib/summary.ts";
import { makeTestCertificate } from "../support/certificate.ts";
import { waitFor } from "../support/wait-for.ts";
import { PROJECT } from "./support/checkout.ts";

const directory = mkdtempSync(path.join(tmpdir(), "commands-"));
after(() => {
  rmSync(directory, { recursive: true });
});

describe("each command", () => {
  const run = (command: string, ...args: string[]) => spawnSync(process.execPath, [path.join(PROJECT, "toolchain/commands", `${command}.ts`), ...args], { encoding: "utf8" });

  for (const command of ["start", "down", "status", "drift", "rotate", "outputs"]) {
    test(`${command} explains itself, in plain text where it is not on a terminal`, () => {
      const { status, stdout } = run(command, "--help");
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: npm (start|run (--silent )?\w+) (\[-- options\]|-- WHAT \[options\])\n\n\S/);
      assert.match(stdout, /--stack NAME +the stack \(default: dev\)/);
      assert.ok(!stdout.includes("\x1b"), "a colour");
    });

    test(`${command} refuses an option that it does not know, by name`, () => {
      const { status, stderr } = run(command, "--stak", "dev");
      assert.equal(status, 2);
      assert.match(stderr, /^Unknown option '--stak'/);
    });
  }
});

describe("a lock of the state", () => {
  const lock = (name: string, content: object): string => {
    const file = path.join(directory, "locks/organization/project/dev", `${name}.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(content));
    return file;
  };

  test("is released where its process is dead, and only there", () => {
    const { pid: dead } = spawnSync("true");
    const stale = lock("stale", { pid: dead, hostname: hostname() });
    const alive = lock("alive", { pid: process.pid, hostname: hostname() });
    const elsewhere = lock("elsewhere", { pid: dead, hostname: "another-machine" });
    releaseStaleLocks(path.join(directory, "locks"));
    assert.deepEqual([stale, alive, elsewhere].map((file) => existsSync(file)), [false, true, true]);
  });

  test("is released where its process has ended and nobody has collected its exit status", async () => {
    // The child ends when it is told to, which is when its parent is a program that collects nothing.
    const parent = spawn("sh", ["-c", "exec 3<&0; read -r line <&3 & echo $!; exec sleep 60"], { stdio: ["pipe", "pipe", "ignore"] });
    try {
      const [line] = (await once(parent.stdout, "data")) as [Buffer];
      const zombie = Number(line.toString());
      await waitFor("its parent is sleep", 10_000, () => readFileSync(`/proc/${parent.pid!}/comm`, "utf8") === "sleep\n");
      parent.stdin.end();
      await waitFor("it is a zombie", 10_000, () => readFileSync(`/proc/${zombie}/stat`, "utf8").includes(") Z "));
      const left = lock("left", { pid: zombie, hostname: hostname() });
      releaseStaleLocks(path.join(directory, "locks"));
      assert.ok(!existsSync(left));
    } finally {
      parent.kill("SIGKILL");
    }
  });

  test("need not be there", () => {
    assert.doesNotThrow(() => {
      releaseStaleLocks(path.join(directory, "no-locks"));
    });
  });
});

test("a stack that does not exist is told from other failures of Pulumi, by its name", () => {
  assert.equal(absentStack(new PulumiFailedError(["preview"], 6, "error: no stack named 'staging' found\n")), "staging");
  assert.equal(absentStack(new PulumiFailedError(["preview"], 255, "error: the stack is currently locked\n")), undefined);
  assert.equal(absentStack(new Error("no stack named 'staging' found")), undefined);
});

test("what an operation changed is read from the last summary among the events", () => {
  const summary = (resourceChanges: Readonly<Record<string, number>>) => ({ summaryEvent: { resourceChanges } });
  const events = [summary({ refresh: 3 }), summary({ create: 1, same: 2 }), {}];
  assert.deepEqual(changesIn(events), { create: 1, same: 2 });
  assert.deepEqual(changesIn([]), {});
});

describe("a node's status", () => {
  const nodes = [
    "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:7004@17004,,tls-port=7004 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected",
    "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:7002@17002 master - 0 1426238316232 2 connected 5461-10922",
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-5460 [93-<-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f]",
  ].join("\n");

  test("is its own line among the nodes, and the state of the cluster as it sees it", () => {
    assert.deepEqual(describeNode(nodes, "cluster_enabled:1\r\ncluster_state:ok\r\n"), { role: "master", health: "ok", slots: "0-5460" });
    assert.equal(describeNode(nodes.replace("myself,master", "myself,slave"), "cluster_state:ok").role, "replica");
  });

  test("says what is wrong", () => {
    assert.equal(describeNode(nodes, "cluster_state:fail\r\n").health, "cluster state fail");
    assert.equal(describeNode(nodes.replace("1 connected 0-5460", "1 disconnected 0-5460"), "cluster_state:ok").health, "link disconnected");
  });

  test("of a node without files, or that does not run, says so", async () => {
    const node = { host: "127.0.0.1", port: await freePort() };
    const credentials = { username: "alice", password: "x" };
    assert.equal((await nodeStatus(node, directory, credentials)).health, "its files are missing");
    const files = path.join(directory, "nodes", String(node.port));
    mkdirSync(files, { recursive: true });
    const { certPem, keyPem } = await makeTestCertificate({ commonName: "node" });
    for (const name of ["ca.crt", "server.crt", "server.key"]) writeFileSync(path.join(files, name), name === "server.key" ? keyPem : certPem);
    assert.equal((await nodeStatus(node, directory, credentials)).health, "not running");
  });
});

describe("the proxy's status", () => {
  test("is what its admin endpoint answers", async () => {
    let answer = { code: 200, text: "ok\n" };
    const server = createServer((_request, response) => {
      response.writeHead(answer.code, { connection: "close" }).end(answer.text);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    mkdirSync(path.join(directory, "proxy"), { recursive: true });
    writeFileSync(path.join(directory, "proxy/proxy.yaml"), `admin: { listen: "${listen}" }\n`);
    try {
      assert.deepEqual(await proxyStatus(directory, "rediss://x"), { uri: "rediss://x", health: "ready" });
      answer = { code: 503, text: "no node of example-redis answers\n" };
      assert.equal((await proxyStatus(directory, undefined)).health, "not ready: no node of example-redis answers");
    } finally {
      server.close();
    }
    assert.equal((await proxyStatus(directory, undefined)).health, "not running");
  });

  test("says where there is no proxy", async () => {
    assert.equal((await proxyStatus(path.join(directory, "nowhere"), undefined)).health, "its files are missing");
  });
});

test("the connection summary leaves out what the stack does not tell, and never shows a password", () => {
  assert.equal(connectionSummary("staging", { connectionUri: "rediss://alice@127.0.0.1:7379", users: ["alice"], passwords: { alice: "hunter2" }, tryIt: ["redis-cli -p 7379 PING"] }), [
    "Connect:",
    "  Proxy      rediss://alice@127.0.0.1:7379",
    "  Users      alice",
    "  Passwords  npm run --silent outputs -- --stack staging --show-secrets",
    "",
    "Try it:",
    "  redis-cli -p 7379 PING",
  ].join("\n"));
});

test("a table's columns are as wide as their widest cell", () => {
  assert.equal(table([["NODE", "ROLE"], ["127.0.0.1:7001", "master"]]), "NODE            ROLE\n127.0.0.1:7001  master");
});

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}
