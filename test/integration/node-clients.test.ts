/** Which certificates open a client's connection to a Redis node, and which do not. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { renderPemBundle } from "../../components/pem-bundle.ts";
import { fullAccessRules, renderUsersAcl } from "../../components/users-acl.ts";
import { makeTestCertificate } from "../support/certificate.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { makeAuthorities, makeLeaf } from "../support/certificates.ts";
import type { TestAuthorities } from "../support/certificates.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { TestServer } from "../support/redis-server.ts";
import { within } from "../support/wait-for.ts";

const answerLimitMs = 5000;
const password = "fedcba9876543210".repeat(4);

describe("a node", () => {
  let authorities: TestAuthorities;
  let directory: string;
  let node: TestServer;

  before(async () => {
    authorities = await makeAuthorities();
    directory = mkdtempSync(join(tmpdir(), "redis-access-clients-"));
    const [port] = await findFreePorts(1, 10_000);
    node = new TestServer({
      ...{ directory: join(directory, "node"), port: port!, replicationPassword: password },
      certificate: await makeLeaf(authorities, "redis", { commonName: "127.0.0.1" }),
      caPem: authorities.redis.certPem,
      bundle: renderPemBundle([authorities.redis.certPem], [authorities.db_client.certPem]),
      acl: renderUsersAcl([{ name: "alice", passwords: [password], rules: fullAccessRules }]),
    });
    const client = node.client("alice", password);
    await node.answers(client);
    client.disconnect();
  });
  after(async () => {
    await node.child.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** What comes back for a PING from a client with this certificate: Redis's answer, or the error that ended the connection. */
  function ping(certificate: TestCertificate | undefined): Promise<string> {
    const answer = new Promise<string>((resolve) => {
      const identity = certificate === undefined ? {} : { cert: certificate.certPem, key: certificate.keyPem };
      const socket = connect({ host: node.host, port: node.port, ca: authorities.redis.certPem, ...identity });
      const settle = (said: string): void => {
        socket.destroy();
        resolve(said);
      };
      // In TLS 1.3 a client learns that its certificate is refused only when it reads.
      socket.once("secureConnect", () => socket.write("PING\r\n"));
      socket.once("data", (data: Buffer) => {
        settle(data.toString());
      });
      socket.once("error", (error: NodeJS.ErrnoException) => {
        settle(error.code ?? error.message);
      });
      socket.once("close", () => {
        settle("closed without an alarm");
      });
    });
    return within("the node's answer or refusal", answerLimitMs, answer);
  }

  test("answers clients with a certificate of the Redis CA or the db_client CA", async () => {
    for (const kind of ["redis", "db_client"] as const) {
      assert.match(await ping(await makeLeaf(authorities, kind, { commonName: kind })), /^-NOAUTH /, kind);
    }
  });

  test("opens no connection for a certificate of the db CA: one that is stolen from a database is worth nothing here", async () => {
    assert.match(await ping(await makeLeaf(authorities, "db", { commonName: "stolen" })), /_ALERT_UNKNOWN_CA$/);
    // Not even where it were a client's: it is the authority that is not trusted.
    const client = await makeTestCertificate({ commonName: "stolen", issuer: authorities.db, extendedUses: ["client_auth"] });
    assert.match(await ping(client), /_ALERT_UNKNOWN_CA$/);
  });

  test("opens no connection for users' certificates, the proxy's server certificate, self-signed ones and none", async () => {
    for (const kind of ["user", "proxy"] as const) {
      assert.match(await ping(await makeLeaf(authorities, kind, { commonName: kind })), /_ALERT_UNKNOWN_CA$/, kind);
    }
    const own = await makeTestCertificate({ commonName: "alice", extendedUses: ["client_auth"] });
    assert.match(await ping(own), /_ALERT_UNKNOWN_CA$/);
    assert.match(await ping(undefined), /_ALERT_CERTIFICATE_REQUIRED$/);
  });

  test("opens no connection for a certificate of the db_client CA that is a server's, or has ended", async () => {
    const server = await makeTestCertificate({ commonName: "proxy", issuer: authorities.db_client, extendedUses: ["server_auth"] });
    assert.match(await ping(server), /_ALERT_UNSUPPORTED_CERTIFICATE$/);
    const ended = await makeLeaf(authorities, "db_client", { commonName: "proxy", endsInMs: -1000 });
    assert.match(await ping(ended), /_ALERT_CERTIFICATE_EXPIRED$/);
  });
});
