import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { Child } from "../support/child.ts";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { findFreePorts } from "../support/free-ports.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor, within } from "../support/wait-for.ts";

// A plain redis-server says what is right; the proxy must say the same, byte for byte.
let port: number;
const fixtures = clusterBehindProxy(threeMasters, {}, async () => {
  const directory = mkdtempSync(join(tmpdir(), "redis-access-plain-"));
  port = (await findFreePorts(1))[0]!;
  const server = new Child({ command: "redis-server", args: ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], directory, logFile: join(directory, "log") });
  await waitFor("the plain server answers", 10_000, async () => (await said(connect(port, "127.0.0.1"), "PING\r\n")).startsWith("+PONG"));
  return () => {
    void server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
});

/** All that comes in answer to `bytes` and a PING behind them, until the other side has closed the connection. */
async function said(socket: Socket, bytes: string): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => pieces.push(chunk));
  socket.on("error", () => undefined);
  socket.end(Buffer.concat([Buffer.from(bytes, "latin1"), encodeCommand(["PING"])]));
  await within("the end of the connection", 10_000, new Promise((resolve) => socket.once("close", resolve)));
  return Buffer.concat(pieces).toString("latin1");
}

for (const bytes of [
  ...["*0\r\n", "*-1\r\n", "*-0\r\n", "*-7\r\n", "*-9223372036854775809\r\n", "*-99999999999999999999\r\n"],
  ...["*x\r\n", "*\r\n", "*1x\r\n", "*01\r\n", "*--1\r\n", "* 1\r\n", "*99999999999999999999\r\n", "*2147483648\r\n"],
  ...["*1\r\n$0\r\n\r\n", "*1\r\n$-1\r\n", "*1\r\n$\r\n", "*1\r\n$04\r\n", "*1\r\n$536870913\r\n", "*1\r\nPING\r\n", "*1\r\n\r\n", "*1\r\n:1\r\n"],
  ...["\r\n", "\n", "   \r\n", "\t\r\n", "PING\n", " PING \r\n", "PING\x0b\r\n", "PING\r\r\n", "\x01\r\n", "''\r\n", "'' x\r\n"],
  ...['ECHO ""\r\n', "ECHO a\rb\r\n", 'ECHO "a\\x00b"\r\n', 'ECHO "a\\xZZ"\r\n', "ECHO 'a\\nb'\r\n", "ECHO 'a\\'b'\r\n", 'ECHO "\\q"\r\n', 'ECHO a"b c"\r\n', 'ECHO "a"b\r\n', 'ECHO "a\r\n', "ECHO 'a\r\n"],
  ...["echo \xe4\xff\r\n", "PING a b c\r\n"],
]) {
  test(`${JSON.stringify(bytes.slice(0, 40))} is answered as redis-server answers it`, async () => {
    const expected = await said(connect(port, "127.0.0.1"), bytes);
    const client = await RawConnection.open(fixtures.proxy);
    assert.equal(await said(client.socket, bytes), expected);
  });
}
