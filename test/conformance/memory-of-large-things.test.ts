import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { ReplyScanner } from "../../proxy/resp/reply-scanner.ts";
import { TestProxy } from "../support/access-proxy.ts";
import { keyOnEachMaster } from "../support/keys.ts";
import { mostDuring, residentMebibytes } from "../support/process-memory.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { TestCluster } from "../support/redis-cluster.ts";
import { sized } from "../support/soak.ts";
import { waitFor, within } from "../support/wait-for.ts";

// A proxy of its own for each case: memory that a process has had once, it seldom gives back, and the next case would not show.
// The bounds are in mebibytes over what a proxy holds that has done a little work; the numbers seen are printed.

const mebibyte = 1_048_576;
/**
 * Mebibytes that a proxy holds which has done a little work. What it holds at one moment is no beginning: V8 lets up to 64 MiB of
 * sockets' chunks become garbage before it looks after them, and how much of it there is just then is chance.
 */
const usualMebibytes = 170;
/** A client that pauses for a millisecond behind each TLS record takes minutes for 1,000 MiB. */
const limitMs = sized(120_000, 600_000);
let cluster: TestCluster;
before(async () => {
  // Nodes that are busy with large values must not be taken for dead.
  cluster = await TestCluster.start({ nodes: 3, replicasPerMaster: 0, nodeTimeoutMs: 15_000 });
});
after(() => cluster.stop());

/** Runs `action` against a proxy that has done a little work already, and bounds what it holds beyond what is usual. */
async function grows(context: TestContext, most: number, action: (proxy: TestProxy) => Promise<void>, limits: Record<string, number> = {}): Promise<void> {
  const proxy = await TestProxy.start(cluster, { limits });
  try {
    const client = await RawConnection.open(proxy);
    await client.ask("SET", "warm", Buffer.alloc(100_000, "v"));
    for (let i = 0; i < 300; i++) client.send("GET", "warm");
    for (let i = 0; i < 300; i++) await client.replyBytes();
    client.close();
    // Small requests use memory of another kind: until V8's young generation has its full size, it grows whatever is done.
    await deepPipeline(proxy, "*2\r\n$6\r\nSTRLEN\r\n$4\r\nwarm\r\n", 100_000);
    const before = residentMebibytes(proxy.child);
    assert.ok(before <= usualMebibytes, `it holds ${Math.round(before)} MiB already`);
    const beyond = Math.round((await mostDuring(proxy.child, () => action(proxy))) - usualMebibytes);
    context.diagnostic(`${beyond} MiB beyond the usual, ${most} are allowed; ${Math.round(before)} before`);
    assert.ok(beyond <= most, `the proxy held ${beyond} MiB beyond the usual`);
  } finally {
    await proxy.stop();
  }
}

/** Reads so many replies and keeps none; their bytes. */
async function skip(client: RawConnection, replies: number): Promise<number> {
  const scanner = new ReplyScanner();
  let left = replies;
  let bytes = 0;
  client.socket.removeAllListeners("data");
  const read = new Promise<void>((resolve) => {
    client.socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      for (let pos = 0; pos >= 0 && pos < chunk.length; ) {
        pos = scanner.scan(chunk, pos, chunk.length);
        if (pos >= 0 && --left === 0) resolve();
      }
    });
  });
  await within(`${replies} replies`, limitMs, read);
  return bytes;
}

/** Sends a SET of so many mebibytes, as fast as it is taken. */
async function setLarge(client: RawConnection, key: string, mebibytes: number): Promise<void> {
  const piece = Buffer.alloc(mebibyte, "x");
  client.write(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${mebibytes * mebibyte}\r\n`);
  for (let i = 0; i < mebibytes; i++) if (!client.socket.write(piece)) await once(client.socket, "drain");
  client.write("\r\n");
  assert.equal(await client.reply(limitMs), "+OK\r\n");
}

/** Sends so many requests of one kind without waiting, and reads the replies. */
async function deepPipeline(proxy: TestProxy, request: string, count: number): Promise<void> {
  const client = await RawConnection.open(proxy);
  const replies = skip(client, count);
  client.write(request.repeat(count));
  await replies;
  client.close();
}

/** Keys with long names on every master; KEYS is to answer with so many mebibytes. */
async function fillKeys(mebibytes: number): Promise<void> {
  const client = cluster.clusterClient();
  const script = "for i = 1, 1000 do redis.call('SET', KEYS[1] .. i .. string.rep('k', 1024), '') end";
  for (let i = 0; i < mebibytes; i++) await client.eval(script, 1, `{${i}}`);
  client.disconnect();
}

/** In one pipeline. What the proxy holds does not grow with it. */
const requests = sized(100_000, 1_000_000);
const valueMebibytes = sized(128, 512);
const nameMebibytes = 64;
const keysMebibytes = sized(100, 1_000);

test(`a value of ${valueMebibytes} MiB is held once while it comes in, and what is sent on of it is not held again`, async (context) => {
  // The buffer it comes in is made larger in steps, of which the last lies there for a while.
  await grows(context, 2 * valueMebibytes, async (proxy) => {
    const client = await RawConnection.open(proxy);
    await setLarge(client, "large", valueMebibytes);
    client.close();
  });
});

test(`a value of ${valueMebibytes} MiB passes to a client that reads without being held`, async (context) => {
  await grows(context, valueMebibytes / 2, async (proxy) => {
    const client = await RawConnection.open(proxy);
    client.send("GET", "large");
    assert.equal(await skip(client, 1), valueMebibytes * mebibyte + `$${valueMebibytes * mebibyte}\r\n\r\n`.length);
    client.close();
  });
});

test(`a command's name of ${nameMebibytes} MiB costs no more than a value of that size: no node is asked what it may be`, async (context) => {
  await grows(context, 2 * nameMebibytes, async (proxy) => {
    const client = await RawConnection.open(proxy);
    client.write(`*2\r\n$${nameMebibytes * mebibyte}\r\n`);
    client.write(Buffer.alloc(nameMebibytes * mebibyte, "n"));
    client.write("\r\n$1\r\nk\r\n");
    assert.match(await client.reply(limitMs), /^-ERR unknown command 'n{128}', with args beginning with: 'k' /);
    client.close();
  });
});

test("an error of 64 MiB passes as it comes", async (context) => {
  await grows(context, 60, async (proxy) => {
    const client = await RawConnection.open(proxy);
    client.send("EVAL", "return redis.error_reply(string.rep('x', 64 * 1024 * 1024))", "0");
    assert.ok((await skip(client, 1)) > 64 * mebibyte);
    client.close();
  });
});

test(`pipelines of ${requests} requests are taken in as they are answered`, async (context) => {
  await grows(context, 250, async (proxy) => {
    const get = "*2\r\n$3\r\nGET\r\n$5\r\nsmall\r\n";
    await Promise.all([get, get, get, "MGET a b c\r\n", "PING\r\n"].map((request) => deepPipeline(proxy, request, requests)));
  });
});

test(`KEYS of all masters, ${keysMebibytes} MiB, passes to a client without being held, however slowly it reads`, async (context) => {
  await fillKeys(keysMebibytes);
  await grows(context, 90, async (proxy) => {
    const [fast, slow] = [await RawConnection.open(proxy), await RawConnection.open(proxy)];
    slow.socket.on("data", () => {
      slow.socket.pause();
      setTimeout(() => slow.socket.resume(), 1);
    });
    for (const client of [fast, slow]) client.send("KEYS", "*");
    const [bytes, slowly] = await Promise.all([skip(fast, 1), slow.replyBytes(limitMs)]);
    assert.ok(bytes > 0.98 * keysMebibytes * mebibyte);
    assert.equal(slowly.length, bytes);
    for (const client of [fast, slow]) client.close();
  }, { max_client_output_bytes: 4 * mebibyte });
});

test("slow readers, a large value each way, deep pipelines, KEYS and a subscriber that does not read, all at once", async (context) => {
  const limits = { max_client_output_bytes: 4 * mebibyte, client_stall_ms: 60_000 };
  // Of 5 x 1,000 replies of 1 MiB, most are never asked for.
  await grows(context, 600, async (proxy) => {
    const slow = await Promise.all(Array.from({ length: 5 }, () => RawConnection.open(proxy)));
    await slow[0]!.ask("SET", "mebibyte", Buffer.alloc(mebibyte, "m"));
    for (const client of slow) {
      client.socket.pause();
      for (let i = 0; i < 1_000; i++) client.send("GET", "mebibyte");
    }
    const subscriber = await RawConnection.open(proxy);
    await subscriber.ask("SUBSCRIBE", "channel");
    subscriber.socket.pause();
    const publisher = await RawConnection.open(proxy);
    const [writer, reader, lister] = [await RawConnection.open(proxy), await RawConnection.open(proxy), await RawConnection.open(proxy)];
    for (let i = 0; i < 50; i++) publisher.send("PUBLISH", "channel", Buffer.alloc(mebibyte, "m"));
    reader.send("GET", "large");
    lister.send("KEYS", "*");
    await Promise.all([
      ...[skip(publisher, 50), skip(reader, 1), skip(lister, 1), setLarge(writer, "other", 64)],
      ...Array.from({ length: 3 }, () => deepPipeline(proxy, "*2\r\n$3\r\nGET\r\n$5\r\nsmall\r\n", 100_000)),
    ]);
    for (const client of [...slow, subscriber, publisher, writer, reader, lister]) client.close();
  }, limits);
});

test("a client that asks for 32 large values at once and reads none is dropped before all of them are there", async (context) => {
  const limits = { max_client_output_bytes: mebibyte, client_stall_ms: 60_000 };
  await grows(context, 90, async (proxy) => {
    const client = await RawConnection.open(proxy);
    await client.ask("SET", "eight", Buffer.alloc(8 * mebibyte, "v"));
    const remote = `127.0.0.1:${client.socket.localPort!}`;
    client.socket.pause();
    // In one piece: as soon as the first is answered, so many more are not asked for.
    client.write("*2\r\n$3\r\nGET\r\n$5\r\neight\r\n".repeat(32));
    await waitFor("it is dropped", 30_000, () => proxy.audit().some((line) => line["event"] === "session_end" && line["remote"] === remote));
    client.close();
    const other = await RawConnection.open(proxy);
    assert.equal(await other.ask("PING"), "+PONG\r\n");
    other.close();
  }, limits);
});

test("a subscriber that does not read is held back at its node", async (context) => {
  const limits = { max_client_output_bytes: mebibyte, client_stall_ms: 60_000 };
  await grows(context, 40, async (proxy) => {
    const subscriber = await RawConnection.open(proxy);
    const publisher = cluster.direct();
    try {
      await subscriber.ask("SUBSCRIBE", "channel");
      subscriber.socket.pause();
      for (let i = 0; i < sized(160, 1_000); i++) await publisher.publish("channel", Buffer.alloc(mebibyte, "m"));
      // Redis has let go of it, as of one that is connected to it directly: what was passed on before can be read, no more.
      subscriber.socket.resume();
      await subscriber.closed();
    } finally {
      subscriber.close();
      publisher.disconnect();
    }
  }, limits);
});

test("requests to a node that hangs are read up to a bound, and answered when it goes on", async (context) => {
  const [[port, key]] = [...(await keyOnEachMaster(cluster, "hung:"))] as [[number, string]];
  const { child } = cluster.nodes.find((node) => node.port === port)!;
  const requests = 300;
  try {
    await grows(context, 60, async (proxy) => {
      const client = await RawConnection.open(proxy);
      // Many small replies: from now on thousands of requests may be under way.
      for (let i = 0; i < 5_000; i++) client.send("STRLEN", key);
      await client.replies(5_000);
      child.signal("SIGSTOP");
      const value = Buffer.alloc(mebibyte, "v");
      for (let i = 0; i < requests; i++) client.send("SET", key, value);
      for (let left = -1; left !== client.socket.writableLength; await new Promise((resolve) => setTimeout(resolve, 400))) left = client.socket.writableLength;
      child.signal("SIGCONT");
      assert.deepEqual(new Set(await client.replies(requests)), new Set(["+OK\r\n"]));
      client.close();
    }, { max_client_output_bytes: 8 * mebibyte });
  } finally {
    child.signal("SIGCONT");
  }
});

test("all clients together are held to a bound: those that hold most are dropped, and the others go on", async (context) => {
  const most = 200 * mebibyte;
  const sizes = Array.from({ length: 12 }, (_, i) => 30 + i);
  // What a request lies in is made larger by doubling.
  await grows(context, 420, async (proxy) => {
    const small = await RawConnection.open(proxy);
    const uploads = await Promise.all(sizes.map(() => RawConnection.open(proxy)));
    const piece = Buffer.alloc(mebibyte, "x");
    const [key] = [...(await keyOnEachMaster(cluster, "upload:")).values()];
    await Promise.all(
      uploads.map(async ({ socket }, i) => {
        socket.on("error", () => undefined);
        // All but the last mebibyte of it, so that it cannot be sent on.
        socket.write(`*3\r\n$3\r\nSET\r\n$${key!.length}\r\n${key!}\r\n$${sizes[i]! * mebibyte}\r\n`);
        for (let sent = 1; sent < sizes[i]! && !socket.destroyed; sent++) {
          if (!socket.write(piece)) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => undefined);
        }
      }),
    );
    assert.equal(await small.ask("PING"), "+PONG\r\n");
    const there = (): number[] => sizes.filter((_, i) => !uploads[i]!.socket.destroyed);
    await waitFor("those that are left are within the bound", 20_000, () => there().reduce((sum, size) => sum + size, 0) * mebibyte <= most + 12 * mebibyte);
    assert.ok(there().length >= 4, `${there().length} are left`);
    const survivor = uploads[sizes.indexOf(there()[0]!)]!;
    survivor.write(piece);
    survivor.write("\r\n");
    assert.equal(await survivor.reply(limitMs), "+OK\r\n");
    for (const client of [small, ...uploads]) client.close();
  }, { max_clients_memory_bytes: most });
});
