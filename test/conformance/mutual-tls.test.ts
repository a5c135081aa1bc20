import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { makeTestCertificate } from "../support/certificate.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { makeLeaf, makeUserCertificate } from "../support/certificates.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor, within } from "../support/wait-for.ts";

const fixtures = clusterBehindProxy();
const limitMs = 10_000;
const organizations = ["access"];
const notSigned = "the client certificate is not accepted: the user authority has not signed it";

const notForClients = "the client certificate is not accepted: it is not for clients (its extended key usage lacks clientAuth)";

interface LogLine {
  readonly message: string;
  readonly remote: string;
  readonly reason: string;
}

interface Visit {
  /** All bytes that came. */
  readonly received: string;
  /** The visitor's address as the proxy must know it. */
  readonly address: string;
  /** The TLS session that the proxy gave for the next time. */
  readonly session: Buffer | undefined;
}

/** Waits for the end of a connection, be it by an error, as where the other side has gone in the middle of a write. */
async function closed(socket: Socket): Promise<void> {
  socket.on("error", () => undefined);
  await within("the end of the connection", limitMs, new Promise((resolve) => socket.once("close", resolve)));
}

/** Connects, asks for PING and waits for the connection's end. */
async function visit(certificate: TestCertificate | undefined, options: ConnectionOptions = {}): Promise<Visit> {
  const { ca } = fixtures.proxy.tls();
  const shown: ConnectionOptions = certificate === undefined ? {} : { cert: certificate.certPem, key: certificate.keyPem };
  const socket = connect({ host: "127.0.0.1", port: fixtures.proxy.port, ca, servername: "localhost", ...shown, ...options });
  const pieces: Buffer[] = [];
  let session: Buffer | undefined;
  let address = "";
  socket.on("connect", () => (address = `127.0.0.1:${socket.localPort!}`));
  socket.on("session", (given: Buffer) => (session = given));
  socket.on("data", (chunk: Buffer) => pieces.push(chunk));
  socket.write("PING\r\n");
  await closed(socket);
  return { received: Buffer.concat(pieces).toString(), address, session };
}

/** Why the proxy has refused a client, as its log says. */
async function loggedReason(address: string): Promise<string> {
  const line = await waitFor("the log says that the client was refused", limitMs, () => {
    const lines = readFileSync(join(fixtures.proxy.directory, "proxy.log"), "utf8").split("\n").filter((text) => text !== "");
    return lines.map((text) => JSON.parse(text) as LogLine).find(({ message, remote }) => message === "client refused" && remote === address);
  });
  return line.reason;
}

const cases: readonly (readonly [shows: string, make: () => Promise<TestCertificate | undefined>, reason: string])[] = [
  ["no certificate", () => Promise.resolve(undefined), "a client certificate is required, and there is none"],
  [
    "a certificate that it has signed itself",
    () => makeTestCertificate({ commonName: "tester", organizations, extendedUses: ["client_auth"] }),
    "the client certificate is not accepted: it has signed itself",
  ],
  [
    "a certificate of an authority that only has the user authority's name",
    async () => {
      const issuer = await makeTestCertificate({ commonName: "test user CA", ca: true, extendedUses: ["client_auth"] });
      return makeTestCertificate({ commonName: "tester", organizations, extendedUses: ["client_auth"], issuer });
    },
    notSigned,
  ],
  [
    "a certificate that has expired",
    () => makeLeaf(fixtures.cluster.authorities, "user", { commonName: "tester", organizations, endsInMs: -60_000 }),
    "the client certificate is not accepted: it has expired",
  ],
  [
    "a certificate of the user authority that is for servers",
    () => makeTestCertificate({ commonName: "tester", organizations, extendedUses: ["server_auth"], issuer: fixtures.cluster.authorities.user }),
    notForClients,
  ],
  [
    "a certificate of the user authority that names nobody",
    () => makeTestCertificate({ commonName: "", organizations, extendedUses: ["client_auth"], issuer: fixtures.cluster.authorities.user }),
    "the certificate's subject must have exactly one common name (CN), the user",
  ],
  ["a node's certificate", () => makeLeaf(fixtures.cluster.authorities, "redis", { commonName: "tester", organizations }), notSigned],
  ["a certificate of the db_client authority", () => makeLeaf(fixtures.cluster.authorities, "db_client", { commonName: "tester", organizations }), notSigned],
  ["the certificate of a proxy", () => makeLeaf(fixtures.cluster.authorities, "proxy", { commonName: "tester", organizations }), notForClients],
];

for (const [shows, make, reason] of cases) {
  test(`a client that shows ${shows} is told why it is refused, as is the log, and nothing that it sends is answered`, async () => {
    const { received, address } = await visit(await make());
    assert.equal(received, `-DENIED ${reason}\r\n`);
    assert.equal(await loggedReason(address), reason);
  });
}

test("a TLS session that was given to a refused client opens nothing when it is resumed", async () => {
  for (const certificate of [undefined, await makeTestCertificate({ commonName: "tester", organizations })]) {
    const { session } = await visit(certificate);
    assert.ok(session, "the proxy gives sessions");
    const { received } = await visit(certificate, { session });
    assert.match(received, /^-DENIED [^\r]+\r\n$/);
  }
});

test("a client that speaks no TLS gets no answer", async () => {
  const socket = connectPlain({ host: "127.0.0.1", port: fixtures.proxy.port });
  const pieces: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => pieces.push(chunk));
  socket.write("PING\r\n");
  await closed(socket);
  assert.doesNotMatch(Buffer.concat(pieces).toString("latin1"), /PONG|NOAUTH|ERR|DENIED/);
});

test("a refused client that does not end its side is cut off", async () => {
  const { ca } = fixtures.proxy.tls();
  const socket = connect({ host: "127.0.0.1", port: fixtures.proxy.port, ca, servername: "localhost" });
  socket.allowHalfOpen = true;
  socket.resume();
  const sending = setInterval(() => socket.write("PING\r\n"), 50);
  try {
    await closed(socket);
  } finally {
    clearInterval(sending);
  }
});

test("after all that, a client with a certificate is served; of the others the audit tells nothing: none has proved who it was", async () => {
  const client = await RawConnection.open(fixtures.proxy, "alice", await makeUserCertificate(fixtures.cluster.authorities));
  assert.equal(await client.ask("PING"), "+PONG\r\n");
  client.send("QUIT");
  await client.closed();
  await waitFor("the session's end is in the audit", limitMs, () => fixtures.proxy.audit().some(({ event }) => event === "session_end"));
  assert.equal(fixtures.proxy.audit().filter(({ event }) => event === "session_start").length, 1);
});
