import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { MockCluster } from "../support/mock-cluster.ts";
import type { MockNode } from "../support/mock-node.ts";

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const valueOf = (key: string): string => bulk(`value of ${key}`);

const keysAsked = (node: MockNode): (string | undefined)[] => node.got("GET").map((command) => command.split(" ")[1]);

/** Keys that belong to both nodes in turn, the same one twice among them. */
function mixedKeys(): string[] {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((prefix, i) => cluster.key(i % 2, prefix)) as [string, string, string, string];
  return [a, b, c, a, d];
}

describe("MGET over several nodes", () => {
  test("asks each node once for all of its keys, and answers in the order asked", async () => {
    const keys = mixedKeys();
    const { client } = await cluster.open(cluster.database());
    assert.equal(await client.ask("MGET", ...keys), `*5\r\n${keys.map(valueOf).join("")}`);
    assert.deepEqual(cluster.nodes.map((node) => keysAsked(node)), [[keys[0], keys[2], keys[3]], [keys[1], keys[4]]]);
  });

  test("follows a redirection of one key among others, and keeps their order", async () => {
    const keys = mixedKeys();
    const { client } = await cluster.open(cluster.database());
    cluster.on(0, ([name, key]) => (name === "GET" && key === keys[2] ? cluster.redirection("ASK", key!, 1) : null));
    assert.equal(await client.ask("MGET", ...keys), `*5\r\n${keys.map(valueOf).join("")}`);
    assert.equal(cluster.nodes[1]!.got("ASKING").length, 1);
    assert.deepEqual(keysAsked(cluster.nodes[0]!), [keys[0], keys[2], keys[3]], "those behind it are not asked for again");
  });

  test("of 40,000 keys whose slot has moved is answered: what each redirection costs does not grow with the keys behind it", async () => {
    const tag = cluster.key(0);
    const keys = Array.from({ length: 40_000 }, (_, i) => `{${tag}}${i}`);
    const { client } = await cluster.open(cluster.database());
    cluster.on(0, ([name, key]) => (name === "GET" ? cluster.redirection("MOVED", key!, 1) : null));
    assert.equal(await client.ask("MGET", ...keys), `*${keys.length}\r\n${keys.map(valueOf).join("")}`);
  });

  test("asks again for what a lost connection has not answered, of a value cut in two as well", async () => {
    const keys = mixedKeys();
    const { client } = await cluster.open(cluster.database());
    let cut = true;
    cluster.on(0, ([name, key], connection) => {
      if (!cut || name !== "GET" || key !== keys[2]) return null;
      cut = false;
      connection.write("$100\r\nhalf of a value");
      connection.end();
      return undefined;
    });
    client.send("MGET", ...keys);
    client.send("GET", keys[0]!);
    assert.deepEqual(await client.replies(2), [`*5\r\n${keys.map(valueOf).join("")}`, valueOf(keys[0]!)]);
  });

  test("puts together values that come in pieces", async () => {
    const keys = mixedKeys();
    const { client } = await cluster.open(cluster.database());
    cluster.on(0, ([name, key], connection) => {
      if (name !== "GET") return null;
      const [head, tail] = [valueOf(key!).slice(0, 7), valueOf(key!).slice(7)];
      connection.write(head);
      return tail;
    });
    assert.equal(await client.ask("MGET", ...keys), `*5\r\n${keys.map(valueOf).join("")}`);
  });

  test("is an error as a whole where one key cannot be read", async () => {
    const keys = mixedKeys();
    const { client } = await cluster.open(cluster.database());
    cluster.on(1, ([name, key]) => (name === "GET" && key === keys[4] ? "-WRONGTYPE no string\r\n" : null));
    assert.equal(await client.ask("MGET", ...keys), "-ERR Teleport: WRONGTYPE no string\r\n");
    assert.equal(await client.ask("GET", keys[0]!), valueOf(keys[0]!), "the session goes on");
  });

  test("of a client that has left leaves the connections as they were", async () => {
    const keys = mixedKeys();
    const database = cluster.database();
    const { client } = await cluster.open(database);
    const { client: other } = await cluster.open(database);
    let release = (): void => undefined;
    cluster.on(0, ([name], connection) => {
      if (name !== "GET") return null;
      release = () => connection.write(`${valueOf("x")}${valueOf("x")}${valueOf("x")}`);
      return undefined;
    });
    client.send("MGET", ...keys);
    const asked = other.ask("GET", keys[1]!);
    assert.equal(await asked, valueOf(keys[1]!));
    client.close();
    cluster.on(0, () => null);
    const behind = other.ask("GET", keys[0]!);
    release();
    assert.equal(await behind, valueOf(keys[0]!));
  });
});
