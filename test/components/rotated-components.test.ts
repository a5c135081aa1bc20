/** What components declare while something of theirs is rotated. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { AccessProxy, CertificateAuthority, LeafCertificate, LocalHost, RedisCluster } from "../../components/index.ts";
import type { Rotation } from "../../components/index.ts";
import { parseRotation } from "../../components/rotation.ts";
import { hashAclPassword } from "../../components/users-acl.ts";
import { MockEngine, valueOf } from "./support/mock-engine.ts";
import type { Registration } from "./support/mock-engine.ts";

const host = new LocalHost();

interface Rotated {
  readonly redis?: string;
  readonly dbClient?: string;
  readonly alice?: string;
  readonly replicaUser?: string;
}

/** A whole environment whose rotations are at the given steps. */
async function environment(rotated: Rotated) {
  const rotation = (text = "standby 1"): Rotation => parseRotation("", "authority", text);
  const { registrations, result } = await MockEngine.run(() => {
    const authorities = {
      redis: new CertificateAuthority("redis-ca", { kind: "redis", rotation: rotation(rotated.redis) }),
      dbClient: new CertificateAuthority("db-client-ca", { kind: "db_client", rotation: rotation(rotated.dbClient) }),
      db: new CertificateAuthority("db-ca", { kind: "db" }),
      user: new CertificateAuthority("user-ca", { kind: "user" }),
      proxy: new CertificateAuthority("proxy-ca", { kind: "proxy" }),
    };
    const cluster = new RedisCluster("redis", {
      ...{ host, directory: "/srv/nodes", redisAuthority: authorities.redis, dbClientAuthority: authorities.dbClient },
      passwordRotations: { alice: rotation(rotated.alice), "replica-user": rotation(rotated.replicaUser) },
    });
    new AccessProxy("proxy", { host, directory: "/srv/proxy", authorities, seeds: cluster.nodes, serviceUser: "proxy", servicePassword: cluster.passwordOf("proxy") });
    return cluster;
  });
  const contentOf = (name: string): string => String(registrations.find(({ inputs, type }) => type === "redisaccess:index:File" && inputs["path"] === name)!.inputs["content"]);
  return { registrations, contentOf, passwords: (await valueOf(result.passwords))! };
}

/** Common names of the certificates in a file, in its order. */
function subjectsIn(pem: string): string[] {
  return pem.split(/(?<=-----END CERTIFICATE-----\n)/).map((one) => new X509Certificate(one).subject.replace(/^CN=redis-access /, ""));
}

function issuerOf(pem: string): string {
  return new X509Certificate(pem).issuer.replace(/^CN=redis-access /, "");
}

const [r1, r2, d1, d2] = ["redis CA", "redis CA 2", "db_client CA", "db_client CA 2"];

for (const [step, { bundle, verifiers, issuer }] of Object.entries({
  "standby 1": { bundle: [r1, d1], verifiers: [r1], issuer: r1 },
  "init 2": { bundle: [r1, r2, d1], verifiers: [r1], issuer: r1 },
  "update_clients 2": { bundle: [r1, r2, d1], verifiers: [r1, r2], issuer: r1 },
  "update_servers 2": { bundle: [r1, r2, d1], verifiers: [r1, r2], issuer: r2 },
  "standby 2": { bundle: [r2, d1], verifiers: [r2], issuer: r2 },
})) {
  test(`with the Redis CA at "${step}" nodes trust ${bundle.join(", ")}, whoever verifies them trusts ${verifiers.join(", ")}, and ${issuer} signs`, async () => {
    const { contentOf } = await environment({ redis: step });
    assert.deepEqual(subjectsIn(contentOf("/srv/nodes/7004/pem-bundle.cas")), bundle);
    for (const file of ["/srv/nodes/7004/ca.crt", "/srv/proxy/redis-ca.crt"]) assert.deepEqual(subjectsIn(contentOf(file)), verifiers);
    assert.equal(issuerOf(contentOf("/srv/nodes/7004/server.crt")), issuer);
  });
}

for (const [step, { bundle, issuer }] of Object.entries({
  "init 2": { bundle: [r1, d1, d2], issuer: d1 },
  "update_clients 2": { bundle: [r1, d1, d2], issuer: d2 },
  "update_servers 2": { bundle: [r1, d2], issuer: d2 },
  "standby 2": { bundle: [r1, d2], issuer: d2 },
})) {
  test(`with the db_client CA at "${step}" nodes trust ${bundle.join(", ")}, and the proxy signs with ${issuer}`, async () => {
    const { contentOf } = await environment({ dbClient: step });
    assert.deepEqual(subjectsIn(contentOf("/srv/nodes/7004/pem-bundle.cas")), bundle);
    const certificate = contentOf("/srv/proxy/db-client-ca.crt");
    assert.deepEqual(subjectsIn(certificate), [issuer]);
  });
}

test("with both rotated at once a bundle holds the old and the new Redis CA, then the old and the new db_client CA", async () => {
  const { contentOf } = await environment({ redis: "update_clients 2", dbClient: "init 2" });
  assert.deepEqual(subjectsIn(contentOf("/srv/nodes/7001/pem-bundle.cas")), [r1, r2, d1, d2]);
});

test("the old authority is protected until the step before the last, where the new one is", async () => {
  const protectedAt = async (step: string): Promise<string[]> => (await environment({ redis: step })).registrations.filter(({ parent, protect }) => parent?.name === "redis-ca" && protect).map(({ name }) => name).sort();
  assert.deepEqual(await protectedAt("update_clients 2"), ["redis-ca-certificate", "redis-ca-certificate-2", "redis-ca-key", "redis-ca-key-2"]);
  assert.deepEqual(await protectedAt("update_servers 2"), ["redis-ca-certificate-2", "redis-ca-key-2"]);
});

for (const [step, { valid, used }] of Object.entries({
  "init 2": { valid: ["redis-password-alice", "redis-password2-alice"], used: 0 },
  "update_clients 2": { valid: ["redis-password-alice", "redis-password2-alice"], used: 1 },
  "standby 2": { valid: ["redis-password2-alice"], used: 0 },
})) {
  test(`with a password at "${step}" ${valid.length === 1 ? "only the new one lets in" : "both let in"}, and the ${step === "init 2" ? "old" : "new"} one is shown`, async () => {
    const { registrations, contentOf, passwords } = await environment({ alice: step });
    const made = registrations.filter(({ type, name }: Registration) => type === "redisaccess:index:Password" && name.endsWith("-alice"));
    assert.deepEqual(made.map(({ name }) => name), valid);
    const line = contentOf("/srv/nodes/7003/users.acl").split("\n").find((each) => each.startsWith("user alice "))!;
    const hashes = line.split(" ").filter((rule) => rule.startsWith("#"));
    assert.equal(new Set(hashes).size, valid.length);
    assert.equal(hashes[used], `#${hashAclPassword(passwords["alice"]!)}`);
  });
}

test("replicas log in with a new password only when every node accepts it", async () => {
  const masterauth = ({ contentOf }: Awaited<ReturnType<typeof environment>>): string => /^masterauth "?([^"\n]*)"?$/m.exec(contentOf("/srv/nodes/7002/redis.conf"))![1]!;
  const [init, clients] = [await environment({ replicaUser: "init 2" }), await environment({ replicaUser: "update_clients 2" })];
  const hashesOf = ({ contentOf }: typeof init): string[] => contentOf("/srv/nodes/7002/users.acl").split("\n").find((each) => each.startsWith("user replica-user "))!.split(" ").filter((rule) => rule.startsWith("#"));
  assert.equal(hashesOf(init).indexOf(`#${hashAclPassword(masterauth(init))}`), 0);
  assert.equal(hashesOf(clients).indexOf(`#${hashAclPassword(masterauth(clients))}`), 1);
});

for (const [what, termsBegun, warnings] of [["as old as its term", new Date().toISOString(), 0], ["older than its term", new Date(Date.now() + 3_600_000).toISOString(), 1]] as const) {
  test(`a certificate that is ${what} ${warnings === 0 ? "is nothing to speak of" : "was not made anew as it should have been, which is told"}`, async (t) => {
    const warn = t.mock.method(console, "warn", () => undefined);
    await MockEngine.run(() => new LeafCertificate("leaf", { authority: new CertificateAuthority("ca", { kind: "user" }), commonName: "orders-app" }), { termsBegun });
    const told = warn.mock.calls.map(({ arguments: [text] }) => String(text));
    assert.equal(told.length, warnings, told.join("\n"));
    for (const text of told) assert.match(text, /the certificate of orders-app is of \S+, older than its term, which began \S+: it was not made anew/);
  });
}
