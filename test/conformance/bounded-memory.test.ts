import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { growthDuring } from "../support/process-memory.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor } from "../support/wait-for.ts";

const mebibyte = 1_048_576;
const fixtures = clusterBehindProxy(threeMasters, { limits: { max_client_output_bytes: mebibyte, client_stall_ms: 1_500 } });
const open = (): Promise<RawConnection> => RawConnection.open(fixtures.proxy);

/** Sends and reads until every buffer on the way has been used once, so that what is measured later is what a case adds. */
async function warmUp(client: RawConnection): Promise<void> {
  await client.ask("SET", "value", Buffer.alloc(100_000, "v"));
  for (let i = 0; i < 300; i++) client.send("GET", "value");
  for (let i = 0; i < 300; i++) await client.replyBytes();
}

test("the header of a bulk of 512 MB takes no memory before its bytes come, nor does that of a million arguments", async () => {
  const other = await open();
  const clients = await Promise.all(Array.from({ length: 20 }, open));
  try {
    await warmUp(other);
    const growth = await growthDuring(fixtures.proxy.child, async () => {
      for (const [i, client] of clients.entries()) client.write(i % 2 === 0 ? "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nsome bytes" : "*1048576\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
      for (let i = 0; i < 200; i++) assert.equal(await other.ask("PING"), "+PONG\r\n");
    });
    // Twenty sessions are there already; ten times 512 MB would be 5,120 MiB.
    assert.ok(growth < 30, `the proxy grew by ${growth} MiB`);
  } finally {
    for (const client of [other, ...clients]) client.close();
  }
});

test("clients that do not read are held back, then dropped; others go on, and memory stays bounded", async () => {
  const other = await open();
  try {
    await warmUp(other);
    const clients = await Promise.all(Array.from({ length: 5 }, open));
    const remotes = clients.map(({ socket }) => `127.0.0.1:${socket.localPort!}`);
    const ends = (): unknown[] => fixtures.proxy.audit().filter(({ event, remote }) => event === "session_end" && remotes.includes(String(remote)));
    let served = 0;
    // Without bounds this would be 5 x 2,000 x 100 kB: a thousand mebibytes.
    const growth = await growthDuring(fixtures.proxy.child, async () => {
      for (const client of clients) {
        client.socket.pause();
        for (let i = 0; i < 2_000; i++) client.send("GET", "value");
      }
      await waitFor("all of them are dropped", 20_000, async () => {
        const asked = performance.now();
        assert.equal(await other.ask("INCR", "served"), `:${++served}\r\n`);
        const took = performance.now() - asked;
        assert.ok(took < 2_000, `another client waited ${took} ms`);
        return ends().length === 5;
      });
    });
    assert.ok(growth < 150, `the proxy grew by ${growth} MiB`);
    for (const client of clients) client.close();
  } finally {
    other.close();
  }
});

test("a client that reads slowly is held back, and gets everything", async () => {
  const client = await open();
  try {
    await warmUp(client);
    const slowly = setInterval(() => {
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 5);
    }, 10);
    const growth = await growthDuring(fixtures.proxy.child, async () => {
      for (let i = 0; i < 1_000; i++) client.send("GET", "value");
      for (let i = 0; i < 1_000; i++) assert.equal((await client.replyBytes()).length, 100_011);
    });
    clearInterval(slowly);
    assert.ok(growth < 100, `the proxy grew by ${growth} MiB`);
  } finally {
    client.close();
  }
});
