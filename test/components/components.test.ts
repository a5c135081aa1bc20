import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type { ExtendedUse } from "../../components/certificate-profile.ts";
import { AccessProxy, CertificateAuthority, CertificateProfileError, InvalidValueError, LeafCertificate, LocalHost, NodeCertificate, RedisCluster, RedisNode, TrustBundle } from "../../components/index.ts";
import type { AccessProxyArgs, AuthorityKind, NodeAddress, ProxyAuthorities, RedisClusterArgs } from "../../components/index.ts";
import { holdsUnknown } from "../../components/provider/wire.ts";
import { assertGolden } from "./support/golden.ts";
import { MockEngine, valueOf } from "./support/mock-engine.ts";
import type { Registration } from "./support/mock-engine.ts";

const host = new LocalHost();
const oid: Readonly<Record<ExtendedUse, string>> = { server_auth: "1.3.6.1.5.5.7.3.1", client_auth: "1.3.6.1.5.5.7.3.2" };

/** Extended key usages of each authority and of what it signs, as the README's table has them. */
const uses: Readonly<Record<AuthorityKind, { readonly authority: readonly ExtendedUse[]; readonly leaf: readonly ExtendedUse[] }>> = {
  redis: { authority: [], leaf: ["server_auth", "client_auth"] },
  db: { authority: ["server_auth"], leaf: ["server_auth"] },
  db_client: { authority: ["client_auth"], leaf: ["client_auth"] },
  user: { authority: ["client_auth"], leaf: ["client_auth"] },
  proxy: { authority: ["server_auth"], leaf: ["server_auth"] },
};
const kinds = Object.keys(uses) as AuthorityKind[];

interface Environment {
  readonly authorities: ProxyAuthorities;
  readonly cluster: RedisCluster;
  readonly proxy: AccessProxy;
  readonly application: LeafCertificate;
}

/** All components of an environment, as a user's program has them; its ports start at `base`. */
function environment(name: string, base: number, changes: Partial<RedisClusterArgs> = {}): Environment {
  const authority = <Kind extends AuthorityKind>(kind: Kind): CertificateAuthority<Kind> => new CertificateAuthority(`${name}-${kind.replace("_", "-")}-ca`, { kind });
  const authorities = { redis: authority("redis"), db: authority("db"), dbClient: authority("db_client"), user: authority("user"), proxy: authority("proxy") };
  const cluster = new RedisCluster(`${name}-redis`, {
    ...{ host, directory: `/srv/${name}/nodes`, redisAuthority: authorities.redis, dbClientAuthority: authorities.dbClient },
    nodes: [1, 2, 3, 4, 5, 6].map((index) => ({ host: "127.0.0.1", port: base + index })),
    ...changes,
  });
  const proxy = new AccessProxy(`${name}-proxy`, {
    ...{ host, directory: `/srv/${name}/proxy`, authorities, seeds: cluster.nodes, startAfter: [cluster] },
    ...{ listen: { host: "127.0.0.1", port: base + 7 }, admin: { host: "127.0.0.1", port: base + 8 } },
    serviceUser: "proxy",
    servicePassword: cluster.passwordOf("proxy"),
  });
  return { authorities, cluster, proxy, application: new LeafCertificate(`${name}-app`, { authority: authorities.user, commonName: "app" }) };
}

const isComponent = ({ type }: Registration): boolean => type.startsWith("redis-access:index:");
const isProtection = ({ type }: Registration): boolean => type === "redisaccess:index:Protection";
/** `${name}-…` is a child's name; these are the parts of the program itself, and what stands beside its cluster and its proxy. */
const ownParts = 5 + 1 + 1 + 1 + 2;

test("two environments in one program have no resource of the same name, and each child is named by its parent and is a part of it", async () => {
  const { registrations } = await MockEngine.run(() => [environment("orders", 7000), environment("carts", 8000)]);
  assert.ok(registrations.length > 250);
  assert.equal(new Set(registrations.map(({ urn }) => urn)).size, registrations.length);
  assert.equal(registrations.filter(({ parent }) => parent === undefined).length, 2 * ownParts);
  for (const { name, parent, urn } of registrations) {
    if (parent !== undefined) assert.ok(isComponent(parent) && name.startsWith(`${parent.name}-`), urn);
  }
  assert.ok(registrations.filter((one) => one.custom && !isProtection(one)).every(({ parent }) => parent !== undefined), "each resource is a part of a component");
});

test("each component registers outputs when it is complete", async () => {
  const { registrations } = await MockEngine.run(() => environment("orders", 7000));
  const components = registrations.filter(isComponent);
  assert.equal(new Set(components.map(({ type }) => type)).size, 7);
  assert.deepEqual(components.filter(({ outputs }) => outputs === undefined || Object.keys(outputs).length === 0).map(({ urn }) => urn), []);
});

test("what the stack's program reads of a cluster and a proxy is there when all of it is made", async () => {
  const { result } = await MockEngine.run(() => environment("orders", 7000));
  assert.deepEqual((await valueOf(result.cluster.nodes))![1], { host: "127.0.0.1", port: 7002, id: "b".repeat(40) });
  assert.equal(await valueOf(result.cluster.uri), "rediss://alice@127.0.0.1:7001");
  assert.deepEqual(Object.keys((await valueOf(result.cluster.passwords))!), ["alice", "replica-user", "provisioner", "proxy"]);
  assert.equal(await valueOf(result.proxy.uri("alice")), "rediss://alice@127.0.0.1:7007");
});

/** Everything secret that an environment is made of: lines of private keys, and passwords. */
async function secretsOf({ authorities, application, cluster }: Environment): Promise<string[]> {
  const keys = await Promise.all([...Object.values(authorities as unknown as Record<string, CertificateAuthority>), application].map(({ keyPem }) => valueOf(keyPem)));
  return [...keys.map((pem) => pem!.split("\n")[1]!), ...Object.values((await valueOf(cluster.passwords))!)];
}

test("private keys and passwords are secrets, and nothing shows them in an input or a registered output", async () => {
  const { result, registrations } = await MockEngine.run(() => environment("orders", 7000));
  for (const secret of [...Object.values(result.authorities as unknown as Record<string, CertificateAuthority>), result.application]) {
    assert.equal(await pulumi.isSecret(secret.keyPem), true);
    assert.equal(await pulumi.isSecret(secret.certPem), false, "a certificate is for everyone");
  }
  assert.equal(await pulumi.isSecret(result.cluster.passwords), true);
  for (const output of [result.cluster.nodes, result.cluster.uri, result.proxy.address]) assert.equal(await pulumi.isSecret(output as pulumi.Output<unknown>), false);
  const secrets = await secretsOf(result);
  assert.equal(secrets.length, 10);
  const shows = (values: Readonly<Record<string, unknown>> | undefined, hidden: ReadonlySet<string>): boolean =>
    Object.entries(values ?? {}).some(([name, value]) => !hidden.has(name) && [...secrets, "PRIVATE KEY"].some((secret) => JSON.stringify(value).includes(secret)));
  let held = 0;
  for (const { urn, inputs, secretInputs, outputs, secretOutputs } of registrations) {
    assert.ok(!shows(inputs, secretInputs), urn);
    assert.ok(!shows(outputs, secretOutputs), urn);
    if (shows(inputs, new Set())) held++;
  }
  assert.ok(held > 20, "keys, redis.conf and the logins of the nodes do hold secrets");
});

test("passwords that a program hands over as plain text are secrets from then on", async () => {
  const { result: node, registrations } = await MockEngine.run(() => {
    const redisAuthority = new CertificateAuthority("redis-ca", { kind: "redis" });
    const bundle = new TrustBundle("bundle", { redisAuthority, dbClientAuthority: new CertificateAuthority("db-client-ca", { kind: "db_client" }) });
    const logins = { replication: { user: "replica-user", password: "plain-one" }, provisioner: { user: "provisioner", password: "plain-two" } };
    return new RedisNode("node", { host, address: { host: "127.0.0.1", port: 7001 }, directory: "/srv/node", redisAuthority, bundle, usersAcl: "user default off\n", ...logins });
  });
  const holders = registrations.flatMap(({ name, inputs, secretInputs }) => Object.entries(inputs).filter(([, value]) => JSON.stringify(value).includes("plain-")).map(([input]) => [`${name} ${input}`, secretInputs.has(input)] as const));
  assert.deepEqual(holders.sort(), ["node-process nodeDeclaration", "node-process readyRedis", "node-redis.conf content"].map((input) => [input, true]));
  assert.equal(await pulumi.isSecret(pulumi.output(node.login.password)), true);
});

test("an authority is protected unless its program says otherwise, and nothing else is", async () => {
  const { registrations } = await MockEngine.run(() => {
    environment("orders", 7000);
    return new CertificateAuthority("test-ca", { kind: "user", protectAuthority: false });
  });
  const ofAuthorities = registrations.filter(({ parent }) => parent?.type === "redis-access:index:CertificateAuthority");
  assert.equal(ofAuthorities.length, 2 * 6);
  assert.deepEqual(ofAuthorities.filter(({ protect }) => !protect).map(({ name }) => name), ["test-ca-key", "test-ca-certificate"]);
  assert.deepEqual(registrations.filter((one) => one.protect && !ofAuthorities.includes(one)).map(({ name }) => name), []);
});

test("a cluster and a proxy refuse to be destroyed as long as one of their authorities is protected, before any part of them is deleted", async () => {
  const { registrations } = await MockEngine.run(() => environment("orders", 7000));
  const protections = registrations.filter(isProtection);
  assert.deepEqual(protections.map(({ name, inputs }) => [name, inputs["what"], inputs["on"]]), [["orders-redis-protection", "cluster", true], ["orders-proxy-protection", "proxy", true]]);
  for (const protection of protections) {
    const whole = protection.name.replace("-protection", "");
    const before = new Set<Registration>();
    const follow = ({ dependencies }: Registration): void => {
      for (const one of registrations.filter(({ name }) => dependencies.has(name) && !before.has(registrations.find((other) => other.name === name)!))) {
        before.add(one);
        follow(one);
      }
    };
    follow(protection);
    const parts = registrations.filter(({ custom, urn, name }) => custom && urn.includes("$") && name.startsWith(`${whole}-`));
    assert.ok(parts.length > 10);
    assert.deepEqual(parts.filter((part) => !before.has(part)).map(({ name }) => name), [], "all that may only be deleted after it");
    assert.deepEqual(registrations.filter(({ dependencies }) => dependencies.has(protection.name)).map(({ name }) => name), [], "nothing is deleted before its turn comes");
  }
});

test("a cluster refuses nothing where its authorities are not protected, or its program says so", async () => {
  const on = async (protectAuthority: boolean, refuseDestroy?: boolean): Promise<unknown> => {
    const { registrations } = await MockEngine.run(() => new RedisCluster("plain", {
      ...{ host, directory: "/srv/plain", ...(refuseDestroy !== undefined && { refuseDestroy }) },
      redisAuthority: new CertificateAuthority("plain-redis-ca", { kind: "redis", protectAuthority }),
      dbClientAuthority: new CertificateAuthority("plain-db-client-ca", { kind: "db_client", protectAuthority: false }),
    }));
    return registrations.find(isProtection)!.inputs["on"];
  };
  assert.deepEqual([await on(true), await on(false), await on(true, false), await on(false, true)], [true, false, false, true]);
});

test("every certificate carries the extended key usages of its kind, and no others", async () => {
  const { result } = await MockEngine.run(() => kinds.map((kind) => {
    const authority = new CertificateAuthority(`${kind}-ca`, { kind });
    return { kind, authority, leaf: new LeafCertificate(`${kind}-leaf`, { authority, commonName: "leaf", ipAddresses: ["10.0.0.1"], dnsNames: ["leaf.example"] }) };
  }));
  for (const { kind, authority, leaf } of result) {
    const certificates = { authority: new X509Certificate((await valueOf(authority.certPem))!), leaf: new X509Certificate((await valueOf(leaf.certPem))!) };
    for (const [place, certificate] of Object.entries(certificates) as ["authority" | "leaf", X509Certificate][]) {
      const found = (certificate.keyUsage as string[] | undefined) ?? [];
      assert.deepEqual([...found].sort(), uses[kind][place].map((use) => oid[use]).sort(), `${kind} ${place}`);
      assert.equal(certificate.ca, place === "authority");
    }
    assert.ok(certificates.leaf.verify(certificates.authority.publicKey));
    assert.equal(certificates.leaf.subjectAltName, "DNS:leaf.example, IP Address:10.0.0.1");
  }
});

const authOnly = (use: string): boolean => use === "server_auth" || use === "client_auth";

for (const [fault, spoilUses] of Object.entries({
  "without any extended key usage": (asked: readonly string[]) => asked.filter((use) => !authOnly(use)),
  "with more extended key usages than its kind": (asked: readonly string[]) => [...asked, "code_signing"],
})) {
  test(`a certificate that was made ${fault} is never handed on, whatever its kind`, async () => {
    for (const spoiledType of ["tls:index/selfSignedCert:SelfSignedCert", "tls:index/locallySignedCert:LocallySignedCert"]) {
      for (const kind of kinds) {
        const isAuthority = spoiledType.includes("selfSigned");
        // A Redis CA has none.
        if (isAuthority && kind === "redis" && fault.startsWith("without")) continue;
        const failures = await MockEngine.failuresOf(() => {
          const authority = new CertificateAuthority("ca", { kind });
          return isAuthority ? authority : new LeafCertificate("leaf", { authority, commonName: "leaf" });
        }, { spoil: (type, inputs) => (type === spoiledType ? { ...inputs, allowedUses: [...spoilUses(inputs.allowedUses as readonly string[])] } : inputs) });
        assert.equal(failures.length, 1, `${kind} ${spoiledType}`);
        assert.ok(failures[0] instanceof CertificateProfileError);
        assert.match(failures[0].message, /has extended key usages \[.*\]; expected exactly \[/);
      }
    }
  });
}

/** An authority as a program without types has it: it fits every place. */
function untyped(authority: CertificateAuthority): CertificateAuthority<never> {
  return authority as CertificateAuthority<never>;
}

/** The compiler refuses each of these; were it not to, it would say that an expected error is missing. Nobody calls it. */
export function refusedByTheCompiler(redis: CertificateAuthority<"redis">, dbClient: CertificateAuthority<"db_client">): unknown[] {
  return [
    // @ts-expect-error the two authorities in each other's place
    new TrustBundle("a", { redisAuthority: dbClient, dbClientAuthority: redis }),
    // @ts-expect-error a node's certificate from the CA of clients
    new NodeCertificate("b", { authority: dbClient, host: "127.0.0.1" }),
    // @ts-expect-error the Redis CA in the place of the db_client CA
    new RedisCluster("c", { host, directory: "/srv/x", redisAuthority: redis, dbClientAuthority: redis }),
    // @ts-expect-error a kind that there is not
    new CertificateAuthority("d", { kind: "client" }),
  ];
}

test("an authority of another kind than its place asks for is refused by the place and both kinds", async () => {
  const refusals: Record<string, () => unknown> = {};
  await MockEngine.run(() => {
    const made = Object.fromEntries(kinds.map((kind) => [kind, untyped(new CertificateAuthority(`${kind}-ca`, { kind }))])) as Record<AuthorityKind, CertificateAuthority<never>>;
    const right: ProxyAuthorities = { redis: made.redis, db: made.db, dbClient: made.db_client, user: made.user, proxy: made.proxy };
    const cluster = { host, directory: "/srv/x", redisAuthority: made.redis, dbClientAuthority: made.db_client };
    const proxy = { host, directory: "/srv/y", seeds: [{ host: "127.0.0.1", port: 7001 }], serviceUser: "proxy", servicePassword: "x" };
    refusals["redisAuthority: is a db CA; expected the redis CA"] = () => new RedisCluster("a", { ...cluster, redisAuthority: made.db });
    refusals["dbClientAuthority: is a user CA; expected the db_client CA"] = () => new RedisCluster("b", { ...cluster, dbClientAuthority: made.user });
    refusals["redisAuthority: is a db_client CA; expected the redis CA"] = () => new TrustBundle("c", { redisAuthority: made.db_client, dbClientAuthority: made.redis });
    refusals["authority: is a db CA; expected the redis CA"] = () => new NodeCertificate("d", { authority: made.db, host: "127.0.0.1" });
    for (const [place, wrong] of Object.entries({ redis: "db", db: "redis", dbClient: "user", user: "db_client", proxy: "redis" } as const)) {
      const expected = { redis: "redis", db: "db", dbClient: "db_client", user: "user", proxy: "proxy" }[place]!;
      refusals[`authorities.${place}: is a ${wrong} CA; expected the ${expected} CA`] = () => new AccessProxy(`e-${place}`, { ...proxy, authorities: { ...right, [place]: made[wrong] } });
    }
    refusals['kind: is "client"; expected one of redis, db, db_client, user, proxy'] = () => new CertificateAuthority("f", { kind: "client" as AuthorityKind });
    for (const [message, make] of Object.entries(refusals)) assert.throws(make, (error) => error instanceof InvalidValueError && error.message === message, message);
  });
  assert.equal(Object.keys(refusals).length, 10);
});

test("a component that refuses its declaration has declared nothing but itself", async () => {
  const { registrations } = await MockEngine.run(() => {
    const redisAuthority = new CertificateAuthority("redis-ca", { kind: "redis" });
    const dbClientAuthority = new CertificateAuthority("db-client-ca", { kind: "db_client" });
    const wrong: readonly Partial<RedisClusterArgs>[] = [
      { dbClientAuthority: untyped(redisAuthority) },
      { nodes: [{ host: "127.0.0.1", port: 7001 }] },
      { users: [{ name: "default" }] },
      { users: [{ name: "alice" }, { name: "alice" }] },
      { users: [{ name: "alice", rules: ["nopass"] }] },
      { users: [] },
      { parameters: { port: 6379 } },
    ];
    for (const validityHours of [0, -1, 1.5, 876_001, Number.NaN]) {
      const message = `validityHours: is ${validityHours}; expected a whole number from 1 to 876000`;
      assert.throws(() => new CertificateAuthority(`wrong-ca-${validityHours}`, { kind: "user", validityHours }), { message });
      assert.throws(() => new LeafCertificate(`wrong-leaf-${validityHours}`, { authority: redisAuthority, commonName: "x", validityHours }), { message });
    }
    for (const [index, change] of wrong.entries()) {
      const make = (): unknown => new RedisCluster(`wrong-${index}`, { host, directory: "/srv/x", redisAuthority, dbClientAuthority, ...change });
      assert.throws(make, InvalidValueError, JSON.stringify(Object.keys(change)));
    }
    const authorities = { redis: redisAuthority, dbClient: dbClientAuthority, db: new CertificateAuthority("db-ca", { kind: "db" }), user: new CertificateAuthority("user-ca", { kind: "user" }), proxy: new CertificateAuthority("proxy-ca", { kind: "proxy" }) };
    const proxy = { host, directory: "/srv/y", authorities, seeds: [{ host: "127.0.0.1", port: 7001 }], serviceUser: "proxy", servicePassword: "x" };
    const loopback = (port: number): NodeAddress => ({ host: "127.0.0.1", port });
    const wrongDoors: readonly (readonly [string, Partial<AccessProxyArgs>, string])[] = [
      ["wrong:door", {}, 'name: "wrong:door" is not a name; expected 1 to 64 letters, digits, dots, hyphens and underscores'],
      ["wrong-a", { databaseName: "orders db" }, 'databaseName: "orders db" is not a name; expected 1 to 64 letters, digits, dots, hyphens and underscores'],
      ["wrong-b", { admin: { host: "10.0.0.1", port: 7390 } }, "admin: 10.0.0.1 is not a loopback address; expected such as 127.0.0.1:7390, because whoever reaches it is asked for nothing"],
      ["wrong-c", { listen: { host: "localhost", port: 7379 } }, 'listen: "localhost" is not an IP address; expected such as 127.0.0.1'],
      ["wrong-d", { listen: loopback(65_536) }, "listen: port 65536 is out of range; expected 1 to 65535"],
      ["wrong-e", { listen: loopback(7390) }, "admin: port 7390 is already the port of listen; expected one of its own"],
      ["wrong-f", { seeds: [] }, "seeds: is empty; expected at least one node of the cluster"],
    ];
    for (const [name, change, message] of wrongDoors) {
      assert.throws(() => new AccessProxy(name, { ...proxy, ...change }), (error) => error instanceof InvalidValueError && error.message === message, message);
    }
  });
  assert.deepEqual(registrations.filter(({ parent }) => parent?.name.startsWith("wrong") === true).map(({ name }) => name), []);
});

test("in a preview of something new, where nothing is known that is yet to be made, all is declared as in the update", async () => {
  const program = (): Environment => environment("orders", 7000);
  const preview = await MockEngine.run(program, { preview: true });
  const update = await MockEngine.run(program);
  assert.deepEqual(preview.registrations.map(({ urn }) => urn).sort(), update.registrations.map(({ urn }) => urn).sort());
  assert.equal(await valueOf(preview.result.cluster.nodes), undefined);
  assert.equal(await pulumi.isSecret(preview.result.cluster.passwords), true, "though it is not known");
  assert.equal(await pulumi.isSecret(preview.result.authorities.redis.keyPem), true);
});

test("a preview that adds a user knows all but what that user's password is in", async () => {
  const { result, registrations } = await MockEngine.run(() => environment("orders", 7000, { users: [{ name: "alice" }, { name: "bob" }] }), { yetToBeMade: new Set(["orders-redis-password-bob"]) });
  const unknown = registrations.flatMap(({ name, inputs }) => Object.keys(inputs).filter((property) => holdsUnknown(inputs[property])).map((property) => `${name} ${property}`));
  const nodes = [1, 2, 3, 4, 5, 6].map((index) => `orders-redis-127.0.0.1-${7000 + index}`);
  assert.deepEqual(unknown.sort(), nodes.flatMap((node) => [`${node}-process nodeDeclaration`, `${node}-process reloadOn`, `${node}-users.acl content`]));
  assert.match((await valueOf(result.cluster.passwordOf("alice")))!, /^secret/);
  assert.equal(await pulumi.isSecret(result.cluster.passwordOf("alice")), true);
  assert.equal(await valueOf(result.cluster.passwordOf("bob")), undefined);
  assert.throws(() => result.cluster.passwordOf("carol"), /"carol" is none of alice, bob, replica-user, provisioner, proxy/);
});

test("a directory that is known only once something else is made is no hindrance to a preview", async () => {
  const { registrations } = await MockEngine.run(() => {
    const later = new CertificateAuthority("later", { kind: "user" }).certPem.apply((pem) => `/srv/${pem.length}`);
    return environment("orders", 7000, { directory: later });
  }, { preview: true });
  assert.equal(registrations.filter(({ type }) => type === "redisaccess:index:Process").length, 7);
});

test("the configuration that an access proxy declares is the golden one", async () => {
  const { registrations } = await MockEngine.run(() => environment("orders", 7000));
  assertGolden("proxy-of-component.yaml", String(registrations.find(({ name }) => name === "orders-proxy-proxy.yaml")!.inputs["content"]));
});

test("before Redis 6.2 the users' rules have no channels; the version is what redis-server itself says", async () => {
  const aclOf = async (redisVersion: string): Promise<unknown> => {
    const { registrations } = await MockEngine.run(() => environment("orders", 7000), { redisVersion });
    return registrations.find(({ name }) => name.endsWith("7001-users.acl"))?.inputs["content"];
  };
  assert.doesNotMatch(String(await aclOf("6.0.16")), /channels/);
  assert.match(String(await aclOf("6.2.0")), /^user alice on #[0-9a-f]{64} allcommands allkeys allchannels$/m);
});
