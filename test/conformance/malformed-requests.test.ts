import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";

let bystander: RawConnection;
const fixtures = clusterBehindProxy(threeMasters, { limits: { max_bulk_bytes: 1_048_576, max_arguments: 1_000 } }, async ({ proxy }) => {
  bystander = await RawConnection.open(proxy);
  return () => {
    bystander.close();
  };
});

/** Bytes that are no command, by what is wrong with them; the error is Redis's own. */
const vectors: readonly (readonly [bytes: string, error: string])[] = [
  ["*x\r\n", "invalid multibulk length"],
  ["*\r\n", "invalid multibulk length"],
  ["*1x\r\n", "invalid multibulk length"],
  ["*+1\r\n$4\r\nPING\r\n", "invalid multibulk length"],
  ["* 1\r\n$4\r\nPING\r\n", "invalid multibulk length"],
  ["*01\r\n$4\r\nPING\r\n", "invalid multibulk length"],
  ["*-0\r\n", "invalid multibulk length"],
  ["*--1\r\n", "invalid multibulk length"],
  ["*1\n$4\r\nPING\r\n", "invalid multibulk length"],
  ["*1\rX", "invalid multibulk length"],
  ["*1001\r\n", "invalid multibulk length"],
  ["*99999999999999999999999999\r\n", "invalid multibulk length"],
  ["*1\r\nPING\r\n", "expected '$', got 'P'"],
  ["*1\r\n:1\r\n", "expected '$', got ':'"],
  ["*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"],
  ["*1\r\n\r\n", "expected '$', got ' '"],
  ["*2\r\n$4\r\nPING\r\n+OK\r\n", "expected '$', got '+'"],
  ["*1\r\n$-1\r\n", "invalid bulk length"],
  ["*1\r\n$-2\r\n", "invalid bulk length"],
  ["*1\r\n$\r\n", "invalid bulk length"],
  ["*1\r\n$x\r\n", "invalid bulk length"],
  ["*1\r\n$4x\r\nPING\r\n", "invalid bulk length"],
  ["*1\r\n$04\r\nPING\r\n", "invalid bulk length"],
  ["*1\r\n$1048577\r\n", "invalid bulk length"],
  ["*1\r\n$18446744073709551616\r\n", "invalid bulk length"],
  ["*1\r\n$4\r\nPINGPING\r\n", "expected CRLF after a bulk string"],
  ["*1\r\n$4\r\nPING\n\n", "expected CRLF after a bulk string"],
  ['"PING\r\n', "unbalanced quotes in request"],
  ["'PING\r\n", "unbalanced quotes in request"],
  ['"PI"NG\r\n', "unbalanced quotes in request"],
  ["x".repeat(65_537), "too big inline request"],
];

/** Frames beyond the small limits that hold before the login. */
const beforeLogin: readonly (readonly [bytes: string, error: string])[] = [
  ["*11\r\n", "unauthenticated multibulk length"],
  ["*2\r\n$4\r\nAUTH\r\n$16385\r\n", "unauthenticated bulk length"],
  ["*1\r\n$536870912\r\n", "unauthenticated bulk length"],
];

const shown = (bytes: string): string => JSON.stringify(bytes.length > 40 ? `${bytes.slice(0, 12)}… (${bytes.length} bytes)` : bytes);

for (const [bytes, error] of vectors) {
  test(`${shown(bytes)} is a protocol error, ${error}; requests before it are answered, and nobody else is disturbed`, async () => {
    const client = await RawConnection.open(fixtures.proxy);
    client.write(`SET before 1\r\n${bytes}`);
    assert.deepEqual(await client.replies(2), ["+OK\r\n", `-ERR Protocol error: ${error}\r\n`]);
    await client.closed();
    assert.equal(await bystander.ask("GET", "before"), "$1\r\n1\r\n");
  });
}

for (const [bytes, error] of [...beforeLogin, ...vectors.filter(([, error]) => !/^invalid (multi)?bulk length$/.test(error))]) {
  test(`before the login, ${shown(bytes)} is a protocol error, ${error}`, async () => {
    const client = await RawConnection.anonymous(fixtures.proxy);
    client.write(bytes);
    assert.equal(await client.reply(), `-ERR Protocol error: ${error}\r\n`);
    await client.closed();
  });
}

test("the limits before the login end with it", async () => {
  const client = await RawConnection.open(fixtures.proxy);
  try {
    const value = Buffer.alloc(1_048_576, "v");
    assert.equal(await client.ask("SET", "large", value), "+OK\r\n");
    assert.equal(await client.ask("STRLEN", "large"), ":1048576\r\n");
    assert.equal(await client.ask("DEL", ...Array.from({ length: 999 }, (_, i) => `{t}${i}`)), ":0\r\n");
  } finally {
    client.close();
  }
});

test("empty and nil arrays and blank lines are no commands, and get no answer", async () => {
  const client = await RawConnection.open(fixtures.proxy);
  try {
    client.write("*0\r\n*-1\r\n*-7\r\n\r\n\n   \r\nPING\r\n*0\r\nECHO x\r\n");
    assert.deepEqual(await client.replies(2), ["+PONG\r\n", "$1\r\nx\r\n"]);
  } finally {
    client.close();
  }
});

test("inline commands have the quotes and escapes of Redis", async () => {
  const client = await RawConnection.open(fixtures.proxy);
  try {
    client.write(`set "in\\x6cine key" 'it\\'s "here"'\r\nGET "inline key"\r\n  echo \t "\\r\\n\\t\\\\"  \nPING\n`);
    assert.deepEqual(await client.replies(4), ["+OK\r\n", '$11\r\nit\'s "here"\r\n', "$4\r\n\r\n\t\\\r\n", "+PONG\r\n"]);
  } finally {
    client.close();
  }
});

test("a client of another protocol gets an error and is closed", async () => {
  const client = await RawConnection.anonymous(fixtures.proxy);
  client.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  assert.equal(await client.reply(), "-NOAUTH Authentication required.\r\n");
  client.close();
});

test("POST and Host: lines end the connection, as in Redis: a web page must not send commands", async () => {
  for (const line of ["POST / HTTP/1.1\r\n", "Host: 127.0.0.1\r\n", "host: x\r\n"]) {
    const client = await RawConnection.open(fixtures.proxy);
    client.write(`${line}\r\nSET smuggled 1\r\n`);
    await client.closed();
    assert.equal(await bystander.ask("EXISTS", "smuggled"), ":0\r\n");
  }
});
