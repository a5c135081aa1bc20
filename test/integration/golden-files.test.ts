/** The golden files are what their programs take: redis-server the configuration, the users and the bundle, the proxy its YAML. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";
import { bundleProxy } from "../../components/proxy-bundle.ts";
import { parseRedisConf } from "../../components/redis-conf.ts";
import { loadConfig } from "../../proxy/config.ts";
import { readGolden } from "../components/support/golden.ts";
import { makeAuthorities, makeLeaf } from "../support/certificates.ts";
import type { TestAuthorities } from "../support/certificates.ts";
import { Child } from "../support/child.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { waitFor } from "../support/wait-for.ts";

const startLimitMs = 20_000;
/** Where the golden files say that all is. */
const goldenDirectory = "/srv/redis/7001";
const goldenPort = "7001";
/** Of the users in users.acl; its test has them. */
const passwords: Readonly<Record<string, string>> = { alice: "alice-password", "replica-user": "r", provisioner: "p", proxy: "x" };
/** What Redis makes of a value that it shows in another form. */
const shownAs: Readonly<Record<string, string>> = { "256mb": "268435456" };

let root: string;
let authorities: TestAuthorities;

before(async () => {
  root = mkdtempSync(join(tmpdir(), "redis-access-golden-"));
  authorities = await makeAuthorities();
});
after(() => {
  rmSync(root, { recursive: true, force: true });
});

/** A redis-server that runs a golden redis.conf, but for the directory and the port that the file names. */
class GoldenServer {
  readonly host: string;
  readonly port: number;
  /** The golden text as it was started. */
  readonly conf: string;
  readonly child: Child;
  readonly #certificate: { readonly cert: string; readonly key: string };

  private constructor(conf: string, port: number, child: Child, certificate: { readonly cert: string; readonly key: string }) {
    this.conf = conf;
    this.host = /^bind (.*)$/m.exec(conf)![1]!;
    this.port = port;
    this.child = child;
    this.#certificate = certificate;
  }

  static async start(confName: string, aclName: string): Promise<GoldenServer> {
    const directory = join(root, confName);
    mkdirSync(join(directory, "data"), { recursive: true });
    const [port] = (await findFreePorts(1, 10_000)) as [number];
    const conf = readGolden(confName).replaceAll(goldenDirectory, directory).replace(`tls-port ${goldenPort}\n`, `tls-port ${port}\n`);
    assert.equal(conf.split(directory).length, 7, "six paths, and no other");
    const { certPem: cert, keyPem: key } = await makeLeaf(authorities, "redis", { commonName: "golden" });
    // The golden authorities have no keys any more; the administrator of this test is trusted besides them.
    const bundle = readGolden("pem-bundle.cas") + authorities.redis.certPem;
    const files = { "redis.conf": conf, "users.acl": readGolden(aclName), "server.crt": cert, "server.key": key, "pem-bundle.cas": bundle };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content, { mode: 0o600 });
    const child = new Child({ command: "redis-server", args: [join(directory, "redis.conf")], directory, logFile: join(directory, "output.log") });
    const server = new GoldenServer(conf, port, child, { cert, key });
    await server.as("alice", (client) =>
      waitFor(`redis-server answers with ${confName}`, startLimitMs, async () => {
        if (child.end !== undefined) throw new Error(`it has ended: ${child.log}`);
        return (await client.call("PING")) === "PONG";
      }),
    );
    return server;
  }

  async as<T>(username: string, use: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis({ host: this.host, port: this.port, username, password: passwords[username]!, tls: { ...this.#certificate, rejectUnauthorized: false }, enableReadyCheck: false, disableClientInfo: true });
    client.on("error", () => undefined);
    try {
      return await use(client);
    } finally {
      client.disconnect();
    }
  }
}

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses!.some(({ address }) => address === "::1"));

for (const [confName, aclName, skip] of [["redis.conf", "users.acl", false], ["redis-parameters.conf", "users-6.0.acl", hasIpv6 ? false : "this machine has no ::1"]] as const) {
  test(`redis-server runs with ${confName} and ${aclName}, and has every parameter as it is written`, { skip }, async () => {
    const server = await GoldenServer.start(confName, aclName);
    try {
      await server.as("alice", async (client) => {
        for (const [name, ...args] of parseRedisConf(server.conf)) {
          const reply = (await client.config("GET", name));
          assert.deepEqual(reply, [name, args.map((argument) => shownAs[argument] ?? argument).join(" ")]);
        }
      });
    } finally {
      await server.child.stop();
    }
  });
}

describe("users.acl", () => {
  let server: GoldenServer;
  before(async () => {
    server = await GoldenServer.start("redis.conf", "users.acl");
  });
  after(() => server.child.stop());

  test("gives redis-server exactly these users, with these password hashes, and no one else's", async () => {
    const declared = readGolden("users.acl").trimEnd().split("\n").map((line) => line.split(" "));
    const list = (await server.as("alice", (client) => client.acl("LIST"))).map((line) => line.split(" "));
    assert.deepEqual(list.map(([, name]) => name).sort(), declared.map(([, name]) => name).sort());
    const hashes = (rules: readonly string[]): string[] => rules.filter((rule) => rule.startsWith("#"));
    for (const [, name, state, ...rules] of declared) {
      const live = list.find(([, other]) => other === name)!;
      assert.ok(live.includes(state!), `${name!} is ${state!}`);
      assert.deepEqual(hashes(live), hashes(rules));
      assert.ok(!live.includes("nopass"));
    }
  });

  test("lets each system user send exactly the commands that its rules name, of all that this redis-server knows", async () => {
    await server.as("alice", async (client) => {
      const commands = leaves((await client.call("COMMAND")) as unknown[][]);
      assert.ok(commands.length > 300);
      for (const line of readGolden("users.acl").trimEnd().split("\n")) {
        const [, user, , ...rules] = line.split(" ") as [string, string, string, ...string[]];
        const named = new Set(rules.filter((rule) => rule.startsWith("+")).map((rule) => rule.slice(1)));
        const everything = rules.includes("allcommands");
        const wrong: string[] = [];
        for (const { name, words } of commands) {
          const allowed = (await client.call("ACL", "DRYRUN", user, ...words)) === "OK";
          if (allowed !== (everything || named.has(name) || named.has(name.split("|")[0]!))) wrong.push(`${user} ${allowed ? "may" : "may not"} ${name}`);
        }
        assert.deepEqual(wrong, []);
      }
    });
  });

  test("lets its users in by their passwords, and the user default not at all", async () => {
    for (const user of Object.keys(passwords)) assert.equal(await server.as(user, (client) => client.call("PING")), "PONG", user);
    await server.as("alice", async (client) => {
      for (const words of [["default", "any"], ["alice", "wrong"], ["any"]]) await assert.rejects(client.call("AUTH", ...words), /^ReplyError: WRONGPASS /);
    });
  });
});

/**
 * Commands that have none below them, as `parent|sub` where they are such, with as many words as they want at least; without
 * those that everyone may send before the login, such as AUTH.
 */
function leaves(commands: readonly (readonly unknown[])[]): { readonly name: string; readonly words: readonly string[] }[] {
  return commands.flatMap(([name, arity, flags, , , , , , , subcommands]) => {
    if ((flags as readonly string[]).includes("no_auth")) return [];
    const below = (subcommands ?? []) as readonly (readonly unknown[])[];
    if (below.length > 0) return leaves(below);
    const words = String(name).split("|");
    // A number is a key, a count or a name, whatever is asked for.
    return [{ name: String(name), words: [...words, ...Array<string>(Math.max(0, Math.abs(Number(arity)) - words.length)).fill("1")] }];
  });
}

describe("proxy.yaml", () => {
  let directory: string;
  let program: string;

  before(async () => {
    directory = join(root, "proxy");
    mkdirSync(directory);
    program = bundleProxy(join(directory, "proxy.mjs")).path;
    const server = await makeLeaf(authorities, "proxy", { commonName: "golden" });
    const contents = {
      ...{ "server.crt": server.certPem, "server.key": server.keyPem, "user-ca.crt": authorities.user.certPem, "proxy.password": "password" },
      ...{ "db-client-ca.crt": authorities.db_client.certPem, "db-client-ca.key": authorities.db_client.keyPem, "redis-ca.crt": authorities.redis.certPem },
    };
    for (const [name, content] of Object.entries(contents)) writeFileSync(join(directory, name), content, { mode: 0o600 });
  });

  function check(name: string, text: string): { readonly status: number | null; readonly said: string } {
    const file = join(directory, name);
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "--config", file, "--check"], { encoding: "utf8" });
    return { status, said: stdout + stderr };
  }

  test("is taken by the proxy, in each of its shapes", () => {
    for (const name of ["proxy.yaml", "proxy-standalone.yaml", "proxy-of-component.yaml"]) {
      assert.deepEqual(check(name, readGolden(name)), { status: 0, said: `${join(directory, name)}: the configuration can be used\n` });
    }
    assert.equal(check("wrong.yaml", readGolden("proxy.yaml").replace("static_labels:", "labels:")).status, 2, "the check can fail");
  });

  test("means to the proxy what it meant to its writer", async () => {
    const read = async (name: string): ReturnType<typeof loadConfig> => {
      writeFileSync(join(directory, name), readGolden(name));
      return loadConfig(join(directory, name));
    };
    const { name, admin, audit, databases } = await read("proxy.yaml");
    assert.deepEqual({ name, admin }, { name: "dev", admin: { host: "127.0.0.1", port: 7390 } });
    assert.deepEqual([audit?.file, audit?.commands], [join(directory, "audit.log"), "all"]);
    assert.equal(databases.length, 1);
    const [cluster] = databases;
    assert.deepEqual(cluster!.seeds.map(({ port }) => port), [7001, 7002, 7003]);
    assert.deepEqual(cluster!.labels, { env: "dev", answer: "no", since: "2026-01-01", time: "7:30" });
    assert.deepEqual([cluster!.mode, cluster!.tls, cluster!.profile, cluster!.listen.port], ["cluster", true, "guide", 7379]);
    assert.deepEqual(cluster!.serviceUser, { name: "proxy", passwordFile: join(directory, "proxy.password") });
    const standalone = (await read("proxy-standalone.yaml")).databases[0]!;
    assert.deepEqual([standalone.name, standalone.mode, standalone.seeds, standalone.listen], ["42", "standalone", [{ host: "fd00::1", port: 6379 }], { host: "::1", port: 7379 }]);
  });
});
