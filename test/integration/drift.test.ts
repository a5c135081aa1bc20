/** Each kind of drift of nodes and of the proxy is injected for real into one running environment, named, and mended by an update that touches nothing else. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, copyFileSync, lstatSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { proxyNodeArguments } from "../../components/proxy-bundle.ts";
import { makeTestCertificate } from "../support/certificate.ts";
import type { TestCertificateOptions } from "../support/certificate.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { waitFor } from "../support/wait-for.ts";
import { DriftRounds, formation, limitMs, live, node, processOf, record, resource, secret } from "./support/drift-round.ts";
import type { Kind } from "./support/drift-round.ts";
import type { DriftingEnvironment } from "./support/drifting-environment.ts";

describe("drift of nodes and the proxy", () => {
  let rounds: DriftRounds;
  let drifting: DriftingEnvironment;
  let ports: readonly [number, number, number, number, number, number];

  before(async () => {
    rounds = await DriftRounds.start();
    drifting = rounds.drifting;
    ports = drifting.environment.nodePorts as unknown as typeof ports;
  });
  after(() => rounds.stop());

  /** Something done to a node's file. The bundle's is read anew by the node, whatever was done to it. */
  function file(port: number, name: string, what: string, harm: (file: string) => void): Kind {
    const gone = what === "deleted" || what === "replaced by a link";
    const thing = what === "opened to others" ? `mode of ${name}` : what === "given to another owner" ? `owner of ${name}` : gone ? name : `content of ${name}`;
    const isBundle = name === "pem-bundle.cas";
    return {
      name: `${name} ${what}`,
      inject: () => {
        harm(drifting.at(port, name));
      },
      found: [[node(port, thing), "write", gone ? /^missing$/ : /^(0644|65534:\d+|sha256 [0-9a-f]{12}…)$/], ...(isBundle ? ([[node(port, "trust bundle in use"), "live", /touched|gone/]] as const) : [])],
      mended: [`${gone ? "create" : "update"} ${resource(port, name)}`, ...(isBundle ? [processOf(port)] : [])],
    };
  }

  const edit = (path: string): void => {
    appendFileSync(path, "maxmemory 1mb\n");
  };
  const truncate = (path: string): void => {
    truncateSync(path);
  };
  const remove = (path: string): void => {
    rmSync(path);
  };
  const open = (path: string): void => {
    chmodSync(path, 0o644);
  };

  test("of parameters and users, changed in running nodes, is named one by one and put right while they run", async () => {
    // Masters first: a replica loses its link where its user is deleted from its master.
    const shards = await drifting.shards();
    const [a, b, c, d, e, f] = [...shards.map(({ master }) => master), ...shards.flatMap(({ replicas }) => replicas)] as unknown as typeof ports;
    const [plain] = await findFreePorts(1);
    await rounds.mend([
      live(drifting, a, "CONFIG SET of a parameter that nobody has declared", "parameter maxmemory", ["CONFIG", "SET", "maxmemory", "100mb"], /^104857600$/),
      live(drifting, a, "a right added", "user proxy", ["ACL", "SETUSER", "proxy", "+@all"], /^\+@all/),
      live(drifting, b, "CONFIG SET of a declared parameter", "parameter cluster-node-timeout", ["CONFIG", "SET", "cluster-node-timeout", "9000"], /^9000$/),
      live(drifting, b, "a password added", "user alice", ["ACL", "SETUSER", "alice", ">another"], /^password sha256 [0-9a-f]{12}…$/),
      live(drifting, b, "weaker TLS", "parameter tls-protocols", ["CONFIG", "SET", "tls-protocols", "TLSv1.2"], /^TLSv1\.2$/),
      live(drifting, c, "a port without TLS opened", "parameter port", ["CONFIG", "SET", "port", String(plain)], new RegExp(`^${plain!}$`)),
      live(drifting, c, "a user added", "user evil", ["ACL", "SETUSER", "evil", "on", "nopass", "~*", "+@all"], /^on nopass ~\* .*\+@all$/),
      live(drifting, d, "clients let in without a certificate", "parameter tls-auth-clients", ["CONFIG", "SET", "tls-auth-clients", "no"], /^no$/),
      live(drifting, d, "default switched on", "user default", ["ACL", "SETUSER", "default", "on", "nopass"], /^on nopass$/),
      live(drifting, e, "protected mode switched off", "parameter protected-mode", ["CONFIG", "SET", "protected-mode", "no"], /^no$/),
      live(drifting, e, "a user removed", "user replica-user", ["ACL", "DELUSER", "replica-user"], /^no such user$/),
      // Of a master, which does not use it: a replica that has to log in anew would lose its link, and bring more findings.
      live(drifting, c, "the replication password changed", "parameter masterauth", ["CONFIG", "SET", "masterauth", secret], /^sha256 [0-9a-f]{12}…$/),
      live(drifting, f, "a right taken away", "user alice", ["ACL", "SETUSER", "alice", "-@dangerous"], /^-@dangerous/),
      live(drifting, d, "slow commands no longer logged", "parameter slowlog-log-slower-than", ["CONFIG", "SET", "slowlog-log-slower-than", "-1"], /^-1$/),
      live(drifting, d, "writes let in at a replica", "parameter replica-read-only", ["CONFIG", "SET", "replica-read-only", "no"], /^no$/),
      live(drifting, e, "another announced name", "parameter cluster-announce-hostname", ["CONFIG", "SET", "cluster-announce-hostname", "node.example.com"], /^node\.example\.com$/),
      live(drifting, a, "a password for default by requirepass", "parameter requirepass", ["CONFIG", "SET", "requirepass", secret], /^sha256 [0-9a-f]{12}…$/),
    ].map((kind) => (kind.name.includes("requirepass") ? { ...kind, found: [...kind.found, [node(a, "user default"), "live", /^password sha256/] as const] } : kind)));
  });

  test("of files is named by file and by what was done to it; programs go on", async () => {
    const [a, b, c, d, e, f] = ports;
    const harms = (["redis.conf", "users.acl", "pem-bundle.cas", "server.key"] as const).flatMap((name) => [file(a, name, "edited", edit), file(b, name, "truncated", truncate), file(c, name, "deleted", remove), file(d, name, "opened to others", open)]);
    await rounds.mend([
      ...harms,
      file(e, "server.crt", "replaced", (path) => {
        copyFileSync(drifting.at(a, "server.crt"), path);
      }),
      file(e, "users.acl", "replaced by a link", (path) => {
        renameSync(path, `${path}.other`);
        symlinkSync(`${path}.other`, path);
      }),
      ...(process.getuid?.() === 0 ? [file(e, "redis.conf", "given to another owner", (path) => { chownSync(path, 65_534, 65_534); })] : []),
      file(f, "ca.crt", "deleted", remove),
      {
        name: "a node's directory opened to others",
        inject: () => { chmodSync(drifting.at(f, ""), 0o755); },
        found: [[node(f, `mode of ${f}/`), "write", /^0755$/]],
        mended: [`update ${resource(f, "directory")}`],
      },
      ...(process.getuid?.() === 0
        ? [{ name: "a data directory given to another owner", inject: () => { chownSync(drifting.at(f, "data"), 65_534, 65_534); }, found: [[node(f, "owner of data/"), "write", /^65534:65534$/] as const], mended: [`update ${resource(f, "data")}`] }]
        : []),
      {
        name: "a directory's mark deleted, without which what is in it would stay when the stack is destroyed",
        inject: () => { remove(drifting.at(e, ".redis-access-directory")); },
        found: [[node(e, `.redis-access-directory in ${e}/`), "write", /^missing$/]],
        mended: [`update ${resource(e, "directory")}`],
      },
      {
        name: "what is written down of the cluster changed",
        inject: () => { writeFileSync(path.join(drifting.environment.directory, "nodes/cluster.json"), JSON.stringify({ nodes: [{ host: "127.0.0.1", port: 1 }] })); },
        found: [["cluster: cluster.json", "write", /^of 127\.0\.0\.1:1$/]],
        mended: [formation],
      },
      { name: "a node's log opened to others", inject: () => { open(drifting.at(f, "redis.log")); }, found: [[node(f, "mode of redis.log"), "write", /^0644$/]], mended: [processOf(f)] },
      ...proxyFiles(),
    ]);
  });

  function proxyFiles(): Kind[] {
    const proxy = (thing: string): string => `proxy 127.0.0.1:${drifting.environment.proxyPort}: ${thing}`;
    return [
      { name: "the proxy's roles widened in its configuration", inject: () => { appendFileSync(drifting.at("proxy", "proxy.yaml"), "roles: [{ name: all, db_labels: { '*': '*' }, db_users: ['*'], db_names: ['*'] }]\n"); }, found: [[proxy("content of proxy.yaml"), "write", /^sha256/]], mended: ["update dev-proxy-proxy.yaml"] },
      { name: "the proxy's program replaced", inject: () => { writeFileSync(drifting.at("proxy", "proxy.mjs"), "process.exit(0)\n"); }, found: [[proxy("content of proxy.mjs"), "write", /^sha256/]], mended: ["update dev-proxy-proxy.mjs"] },
      { name: "the authority of clients replaced", inject: () => { copyFileSync(drifting.at("proxy", "db-ca.crt"), drifting.at("proxy", "user-ca.crt")); }, found: [[proxy("content of user-ca.crt"), "write", /^sha256/]], mended: ["update dev-proxy-user-ca.crt"] },
      { name: "the db_client CA's key opened to others", inject: () => { open(drifting.at("proxy", "db-client-ca.key")); }, found: [[proxy("mode of db-client-ca.key"), "write", /^0644$/]], mended: ["update dev-proxy-db-client-ca.key"] },
      ...["proxy.log", "audit.log"].map((name): Kind => ({ name: `${name} opened to others`, inject: () => { open(drifting.at("proxy", name)); }, found: [[proxy(`mode of ${name}`), "write", /^0644$/]], mended: ["update dev-proxy-process"] })),
      { name: "a client's key deleted", inject: () => { remove(drifting.at("client", "client.key")); }, found: [["stack: client.key", "write", /^missing$/]], mended: ["create dev-client-client.key"] },
    ];
  }

  /** Has a node read another certificate than its files hold. Without an issuer of its own it is the Redis CA's. */
  const serving = (port: number, options: Partial<TestCertificateOptions>) => async (): Promise<void> => {
    const issuer = { certPem: readFileSync(drifting.at(ports[0], "ca.crt"), "utf8"), keyPem: await drifting.stateSecret("dev-redis-ca-key", "privateKeyPemPkcs8") };
    const other = await makeTestCertificate({ commonName: "127.0.0.1", ipAddresses: ["127.0.0.1"], issuer, extendedUses: ["server_auth", "client_auth"], ...options });
    const files = ["server.crt", "server.key"].map((name) => drifting.at(port, name));
    const declared = files.map((path) => readFileSync(path));
    writeFileSync(files[0]!, other.certPem);
    writeFileSync(files[1]!, other.keyPem);
    await drifting.tell(port, ["CONFIG", "SET", "tls-cert-file", files[0]!]);
    declared.forEach((content, index) => { writeFileSync(files[index]!, content); });
  };

  /** Starts the proxy anew by hand as it is recorded, but for what is given. */
  async function startProxyAgain(environment: Readonly<Record<string, string>>, change: (text: string) => string = (text) => text): Promise<void> {
    const at = (name: string): string => drifting.at("proxy", name);
    const command = { program: process.execPath, args: [...proxyNodeArguments, at("proxy.mjs"), "--config", at("proxy.yaml"), "--successor", at("successor.json")], directory: at(""), logFile: at("proxy.log"), environment };
    await drifting.restartWith("proxy/proxy.process", at("proxy.yaml"), change, command);
    await waitFor("the proxy answers", limitMs, async () => (await fetch(`http://127.0.0.1:${drifting.environment.adminPort}/readyz`)).ok);
  }

  test("of certificates and of the bundle in memory is read from what is served, and what cannot be read is read anew", async () => {
    const [a, , , d, e] = ports;
    const foreign = await makeTestCertificate({ commonName: "foreign CA", ca: true });
    await rounds.mend([
      { name: "a certificate near its end served", inject: serving(a, { endsInMs: 60_000 }), found: [[node(a, "served certificate"), "live", / 0 days left$/]], mended: [processOf(a)] },
      {
        name: "a foreign CA in the bundle that a node has read",
        inject: async () => {
          const bundle = drifting.at(d, "pem-bundle.cas");
          const declared = readFileSync(bundle);
          appendFileSync(bundle, foreign.certPem);
          await drifting.tell(d, ["CONFIG", "SET", "tls-ca-cert-file", bundle]);
          writeFileSync(bundle, declared);
        },
        found: [[node(d, "trust bundle in use"), "live", /may have read it/]],
        mended: [processOf(d)],
      },
      {
        name: "the proxy started with another environment, by what its record says",
        inject: () => startProxyAgain({ NODE_TLS_REJECT_UNAUTHORIZED: secret }),
        found: [[`proxy 127.0.0.1:${drifting.environment.proxyPort}: node`, "restart", /^running with another environment: NODE_TLS_REJECT_UNAUTHORIZED$/]],
        mended: ["update dev-proxy-process"],
        restarted: ["proxy/proxy.process"],
      },
      { name: "a certificate served that is for clients only", inject: serving(e, { extendedUses: ["client_auth"] }), found: [[node(e, "served certificate"), "restart", / for client_auth, /], [`cluster: member 127.0.0.1:${e}`, "cluster", /certificate/]], mended: [processOf(e), formation], restarted: [record(e)] },
    ]);
  });

  test("of processes is named by what runs in their place; a master that is gone has been succeeded", async () => {
    const shards = await drifting.shards();
    const [killed, byHand] = [shards[0]!.master, shards[1]!.replicas[0]!];
    const proxyConfig = drifting.at("proxy", "proxy.yaml");
    const declared = readFileSync(proxyConfig);
    await rounds.mend([
      {
        name: "a master killed",
        inject: async () => {
          await drifting.kill(record(killed));
          const other = shards[1]!.master;
          await waitFor("its replica has taken over", limitMs, async () => (await drifting.members(other)).get(shards[0]!.replicas[0]!)!.slots > 0);
        },
        found: [[node(killed, "redis-server"), "start", /^stopped$/], [`cluster: member 127.0.0.1:${killed}`, "cluster", /ECONNREFUSED/]],
        mended: [processOf(killed), formation],
        restarted: [record(killed)],
      },
      {
        name: "a node started by hand with another configuration",
        inject: async () => {
          await drifting.kill(record(byHand));
          await drifting.startByHand(byHand, [drifting.at(byHand, "redis.conf"), "--maxmemory", "100mb"]);
        },
        found: [[node(byHand, "redis-server"), "restart", /not as this toolkit starts it/]],
        mended: [processOf(byHand), formation],
        restarted: [record(byHand)],
      },
      {
        name: "the proxy started with another configuration",
        inject: async () => {
          await startProxyAgain({}, (text) => `${text}limits: { max_connections: 5 }\n`);
          writeFileSync(proxyConfig, declared);
        },
        found: [[`proxy 127.0.0.1:${drifting.environment.proxyPort}: configuration in use`, "live", /^sha256 [0-9a-f]{12}…$/]],
        mended: ["update dev-proxy-process"],
      },
      {
        name: "the audit log deleted, while the proxy writes to it",
        inject: () => { rmSync(drifting.at("proxy", "audit.log")); },
        found: [[`proxy 127.0.0.1:${drifting.environment.proxyPort}: audit.log`, "live", /^gone: /]],
        mended: ["update dev-proxy-process"],
      },
    ]);
  });

  test("of what the proxy writes to is named by file, and its logs are where they belong again, without a client noticing", async () => {
    const proxy = `proxy 127.0.0.1:${drifting.environment.proxyPort}`;
    const audit = drifting.at("proxy", "audit.log");
    await rounds.mend([
      { name: "the proxy's log deleted", inject: () => { rmSync(drifting.at("proxy", "proxy.log")); }, found: [[`${proxy}: proxy.log`, "restart", /^gone: /]], mended: ["update dev-proxy-process"], restarted: ["proxy/proxy.process"] },
      {
        name: "the audit led to nowhere",
        inject: () => {
          rmSync(audit);
          symlinkSync("/dev/null", audit);
          process.kill(drifting.environment.processes().get("proxy/proxy.process")!.pid, "SIGHUP");
        },
        found: [[`${proxy}: audit.log`, "write", /^a symbolic link to \/dev\/null$/]],
        mended: ["update dev-proxy-process"],
      },
    ]);
    for (const name of ["proxy.log", "audit.log"]) assert.ok(lstatSync(drifting.at("proxy", name)).isFile(), name);
  });

  test("of a proxy that is gone, and of a node whose certificate nobody trusts, is named and put right", async () => {
    const proxyRecord = "proxy/proxy.process";
    const port = (await drifting.shards())[2]!.replicas[0]!;
    const self = await makeTestCertificate({ commonName: "127.0.0.1", ipAddresses: ["127.0.0.1"], ca: true });
    await rounds.mend([
      { name: "the proxy killed", inject: () => drifting.kill(proxyRecord), found: [[`proxy 127.0.0.1:${drifting.environment.proxyPort}: node`, "start", /^stopped$/]], mended: ["update dev-proxy-process"], restarted: [proxyRecord] },
      { name: "a certificate of a foreign authority served", inject: serving(port, { issuer: self }), found: [[node(port, "served certificate"), "restart", / of CN=127\.0\.0\.1, /], [`cluster: member 127.0.0.1:${port}`, "cluster", /certificate/]], mended: [processOf(port), formation], restarted: [record(port)] },
    ]);
  });

  test("of what only a restart brings back is put right behind a replica that has taken over", async () => {
    const shards = await drifting.shards();
    const [fixed, unrecorded, locked, suspended, limited] = [shards[0]!.master, shards[0]!.replicas[0]!, shards[1]!.replicas[0]!, shards[2]!.replicas[0]!, shards[2]!.master];
    const suspend = (name: string): void => { process.kill(drifting.environment.processes().get(name)!.pid, "SIGSTOP"); };
    const conf = drifting.at(fixed, "redis.conf");
    const declared = readFileSync(conf);
    await rounds.mend([
      {
        name: "a parameter that Redis fixes at its start, and a command under another name",
        inject: async () => {
          const command = { program: "/usr/bin/redis-server", args: [conf], directory: drifting.at(fixed, "data"), logFile: drifting.at(fixed, "redis.log") };
          await drifting.restartWith(record(fixed), conf, (text) => `${text}enable-debug-command local\nrename-command FLUSHALL wipe\n`, command);
          const settled = (text: unknown): boolean => String(text).includes("cluster_state:ok");
          // It must have read the changed file before that is put back.
          await waitFor("its cluster is well again", limitMs, async () => (await Promise.all(ports.map(async (port) => settled((await drifting.tell(port, ["CLUSTER", "INFO"]))[0])))).every(Boolean));
          writeFileSync(conf, declared);
        },
        found: [[node(fixed, "parameter enable-debug-command"), "restart", /^local$/], [node(fixed, "commands"), "restart", /^without flushall \(rename-command\), with 1 more, /]],
        mended: [processOf(fixed), formation],
        restarted: [record(fixed)],
      },
      {
        name: "a node's record deleted",
        inject: () => { rmSync(path.join(drifting.environment.directory, record(unrecorded))); },
        found: [[node(unrecorded, "redis-server"), "restart", /not as this toolkit starts it/]],
        mended: [processOf(unrecorded), formation],
        restarted: [record(unrecorded)],
      },
      {
        name: "fewer files that a node may open than it has clients",
        inject: () => { execFileSync("prlimit", ["--pid", String(drifting.environment.processes().get(record(limited))!.pid), "--nofile=500"]); },
        found: [[node(limited, "open files"), "restart", /^500 at most$/]],
        mended: [processOf(limited), formation],
        restarted: [record(limited)],
      },
      {
        name: "this toolkit's own user removed",
        inject: async () => { await drifting.tell(locked, ["ACL", "DELUSER", "provisioner"]); },
        found: [[node(locked, "login of provisioner"), "restart", /WRONGPASS/], [`cluster: member 127.0.0.1:${locked}`, "cluster", /WRONGPASS/]],
        mended: [processOf(locked), formation],
        restarted: [record(locked)],
      },
      {
        name: "a node suspended",
        inject: () => { suspend(record(suspended)); },
        found: [[node(suspended, "redis-server"), "restart", /^suspended by a signal/], [`cluster: member 127.0.0.1:${suspended}`, "cluster", /ETIMEDOUT/]],
        mended: [processOf(suspended), formation],
        restarted: [record(suspended)],
      },
      {
        name: "the proxy suspended",
        inject: () => { suspend("proxy/proxy.process"); },
        found: [[`proxy 127.0.0.1:${drifting.environment.proxyPort}: node`, "restart", /^suspended by a signal/]],
        mended: ["update dev-proxy-process"],
        restarted: ["proxy/proxy.process"],
      },
    ]);
  });

  test("is gone in the end", () => rounds.end());
});
