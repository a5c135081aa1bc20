import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { TestProxy } from "../support/access-proxy.ts";
import { makeAuthorities } from "../support/certificates.ts";
import { HostBehindCable } from "../support/host-behind-cable.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startStandalone } from "../support/standalone-server.ts";
import type { StandaloneServer } from "../support/standalone-server.ts";
import { waitFor } from "../support/wait-for.ts";

/** A second until silence counts, half a one for PING, and three tries of a second and a half; the watch's own steps beside it. */
const noticedWithinMs = 8_500;
const retryBudgetMs = 1_000;
const connectTimeoutMs = 2_000;

const { host, obstacle } = makeHost();
let server: StandaloneServer;
let proxy: TestProxy;

/** Where this process has no right to network namespaces, what needs none is tested all the same. */
function makeHost(): { readonly host?: HostBehindCable; readonly obstacle?: string } {
  try {
    return { host: HostBehindCable.make() };
  } catch (error) {
    return { obstacle: `a host behind a cable cannot be made here: ${error instanceof Error ? error.message : String(error)}` };
  }
}

before(async () => {
  const authorities = await makeAuthorities();
  const passwords = Object.fromEntries(["alice", "bob", "proxy"].map((name) => [name, randomBytes(32).toString("hex")]));
  server = await startStandalone({ authorities, passwords }, host);
  const limits = { retry_budget_ms: retryBudgetMs, connect_timeout_ms: connectTimeoutMs };
  proxy = await TestProxy.start({ authorities, passwords, nodes: [server] }, { mode: "standalone", limits });
});
after(async () => {
  await proxy.stop();
  await server.stop();
  host?.remove();
});

test("a server whose packets are lost is given up within seconds, and served again as soon as it is back", { skip: obstacle ?? false }, async () => {
  const [writer, reader, waiter] = await Promise.all([RawConnection.open(proxy), RawConnection.open(proxy), RawConnection.open(proxy, "bob")]);
  try {
    assert.equal(await writer.ask("SET", "key", "before"), "+OK\r\n");
    waiter.send("BLPOP", "list", "0");
    await delay(200);
    host!.unplug();
    const cut = performance.now();
    writer.send("SET", "key", "during");
    reader.send("GET", "key");
    assert.match(await writer.reply(), /^-ERR Teleport: connection to the node lost before it answered, the command may have been executed/);
    assert.match(await reader.reply(), /^-ERR Teleport: /);
    assert.ok(performance.now() - cut < noticedWithinMs + connectTimeoutMs + retryBudgetMs, `it took ${performance.now() - cut} ms`);
    assert.match(await waiter.reply(), /^-ERR Teleport: connection to the node lost/, "one that waits in Redis is told as well");

    const began = performance.now();
    assert.match(await reader.ask("GET", "key"), /^-ERR Teleport: the server cannot be reached; the command was not executed/);
    assert.ok(performance.now() - began < connectTimeoutMs + retryBudgetMs + 1_000, "who comes later is told sooner");
    const logins = performance.now();
    await Promise.all([1, 2, 3].map(() => assert.rejects(RawConnection.open(proxy), /no node of database example-redis can be reached/)));
    assert.ok(performance.now() - logins < 3 * connectTimeoutMs, `logins: ${performance.now() - logins} ms`);

    host!.plugIn();
    const back = performance.now();
    await waitFor("the server is served again", 10_000, async () => (await reader.ask("GET", "key")).startsWith("$"));
    assert.ok(performance.now() - back < 5_000, "no connection from before keeps anybody waiting");
    assert.match(proxy.child.log, /no packet comes back from the node's machine/);
  } finally {
    for (const client of [writer, reader, waiter]) client.close();
  }
});

test("a client that is owed nothing is asked by TCP whether it is there still, so that one whose machine has gone does not stay for ever", async () => {
  const client = await RawConnection.open(proxy);
  try {
    // proc(5), /proc/net/tcp: local address, remote address, state (01: established), queues, and the timer's kind (02: keepalive).
    const port = proxy.port.toString(16).toUpperCase().padStart(4, "0");
    const timers = (): string[] => [...readFileSync("/proc/net/tcp", "utf8").matchAll(new RegExp(`:${port} \\S+ 01 \\S+ (\\d\\d):`, "g"))].map(([, kind]) => kind!);
    await waitFor("nothing is on its way", 5_000, () => timers().length > 0 && timers().every((kind) => kind !== "01"));
    assert.deepEqual([...new Set(timers())], ["02"]);
  } finally {
    client.close();
  }
});

test("a server that is busy for longer than all of that is waited for, and its script runs once", async () => {
  const client = await RawConnection.open(proxy);
  try {
    const script = "local t = redis.call('time')[1]; while redis.call('time')[1] - t < 12 do end; return redis.call('incr', KEYS[1])";
    assert.equal(await client.ask("EVAL", script, "1", "runs"), ":1\r\n");
  } finally {
    client.close();
  }
});
