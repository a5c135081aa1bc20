import assert from "node:assert/strict";
import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { AdminListenError, startAdmin } from "../../proxy/server/admin.ts";

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const view = {
  ok: true,
  broken: false,
  health() {
    return { ok: this.ok, detail: { audit: "fine" } };
  },
  ready() {
    return { ok: this.ok, detail: ["example-redis"] };
  },
  version() {
    return { program: "a", configuration: "b" };
  },
  sessions() {
    return [{ session: 7 }];
  },
  session(id: number) {
    return Promise.resolve(id === 7 ? { session: 7, queue: [] } : undefined);
  },
  metrics() {
    if (this.broken) throw new Error("a secret detail");
    return "up 1\n";
  },
};
let admin: Awaited<ReturnType<typeof startAdmin>>;

before(async () => {
  admin = await startAdmin({ host: "127.0.0.1", port: 0 }, view);
});

after(async () => {
  await admin.close();
});

function ask(path: string, options: { method?: string; host?: string; body?: string } = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { host, port } = admin.address;
    const headers = options.host === undefined ? {} : { host: options.host };
    const sent = request({ host, port, path, method: options.method ?? "GET", headers }, (response) => {
      text(response).then((body) => {
        resolve({ status: response.statusCode!, headers: response.headers, body });
      }, reject);
    });
    sent.on("error", reject);
    sent.end(options.body);
  });
}

/** What a raw connection gets back until it is closed. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(admin.address.port, admin.address.host);
  socket.write(bytes);
  return text(socket);
}

describe("the admin endpoint", () => {
  test("says 200 where all is well and 503 where not, with the detail as JSON", async () => {
    for (const [ok, status] of [[true, 200], [false, 503]] as const) {
      view.ok = ok;
      const health = await ask("/healthz");
      assert.deepEqual([health.status, JSON.parse(health.body)], [status, { ok, detail: { audit: "fine" } }]);
      assert.equal(health.headers["content-type"], "application/json");
      const ready = await ask("/readyz?verbose");
      assert.deepEqual([ready.status, JSON.parse(ready.body)], [status, { ok, detail: ["example-redis"] }]);
    }
    view.ok = true;
  });

  test("says which program and which configuration run", async () => {
    const { status, body } = await ask("/version");
    assert.deepEqual([status, JSON.parse(body)], [200, { program: "a", configuration: "b" }]);
  });

  test("shows metrics with the media type that Prometheus wants", async () => {
    const { status, headers, body } = await ask("/metrics");
    assert.deepEqual([status, headers["content-type"], body], [200, "text/plain; version=0.0.4; charset=utf-8", "up 1\n"]);
  });

  test("answers HEAD as GET, without the body", async () => {
    const { status, headers, body } = await ask("/metrics", { method: "HEAD" });
    assert.deepEqual([status, headers["content-length"], body], [200, "5", ""]);
  });

  test("refuses other methods and says which it knows", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      const { status, headers } = await ask("/healthz", { method, body: method === "POST" ? "x".repeat(1_000) : "" });
      assert.deepEqual([status, headers.allow], [405, "GET, HEAD"], method);
    }
  });

  test("lists the sessions, and tells of one by its number", async () => {
    assert.deepEqual(JSON.parse((await ask("/debug/sessions")).body), [{ session: 7 }]);
    assert.deepEqual(JSON.parse((await ask("/debug/sessions/7")).body), { session: 7, queue: [] });
    const none = await ask("/debug/sessions/8");
    assert.deepEqual([none.status, none.body], [404, "there is no session 8; /debug/sessions lists those there are\n"]);
  });

  test("names its pages where a path is none of them", async () => {
    for (const path of ["/", "/healthz/", "/metrics/../x", "//metrics", "/debug"]) {
      const { status, body } = await ask(path);
      assert.deepEqual([status, body], [404, "there is no such page; there are /healthz, /readyz, /version, /metrics, /debug/sessions, /debug/sessions/NUMBER\n"], path);
    }
  });

  test("is reached by loopback names only, so that a rebound name of a web page is of no use", async () => {
    for (const host of ["localhost", "LOCALHOST:7390", "127.0.0.1:1", "127.1.2.3", "[::1]", "[::1]:7390"]) {
      assert.equal((await ask("/healthz", { host })).status, 200, host);
    }
    const foreign = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "evil.example:7390", "0.0.0.0", "localhost:", "[::]", "10.0.0.1"];
    for (const host of foreign) assert.equal((await ask("/healthz", { host })).status, 421, host);
    assert.match(await raw("GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 421 /);
    assert.match(await raw("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"), /^HTTP\/1\.1 400 /);
  });

  test("says nothing of an error's text where an answer cannot be made", async () => {
    view.broken = true;
    const { status, body } = await ask("/metrics");
    view.broken = false;
    assert.deepEqual([status, body], [500, "the answer could not be made\n"]);
  });

  test("is not held up by what is no HTTP, or by headers without an end", async () => {
    assert.match(await raw("*1\r\n$4\r\nPING\r\n"), /^HTTP\/1\.1 400 /);
    assert.match(await raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}`), /^HTTP\/1\.1 431 /);
  });

  test("sends away a client that never finishes its request", { timeout: 20_000 }, async () => {
    assert.match(await raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n"), /^HTTP\/1\.1 408 /);
  });

  test("says which address it cannot have, and why", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    await assert.rejects(startAdmin({ host: "127.0.0.1", port }, view), (error: unknown) => {
      assert.ok(error instanceof AdminListenError);
      assert.equal(error.message, `the admin endpoint cannot listen on 127.0.0.1:${port}: the port is in use`);
      return true;
    });
    taken.close();
  });

  test("closes at once, though clients keep their connections", async () => {
    const short = await startAdmin({ host: "127.0.0.1", port: 0 }, view);
    const socket = connect(short.address.port, short.address.host);
    const ended = new Promise((resolve) => socket.on("close", resolve).on("error", () => undefined));
    socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await new Promise((resolve) => socket.once("data", resolve));
    const from = performance.now();
    await short.close();
    await ended;
    assert.ok(performance.now() - from < 2_000);
  });
});
