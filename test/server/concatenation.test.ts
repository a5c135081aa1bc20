import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MockCluster } from "../support/mock-cluster.ts";

let cluster: MockCluster;
beforeEach(async () => {
  cluster = await MockCluster.start(2);
});
afterEach(() => {
  cluster.close();
});

describe("KEYS over several nodes", () => {
  test("arrays come one after the other in the order of the slots, whoever answers first, in whatever pieces", async () => {
    const { client } = await cluster.open(cluster.database());
    cluster.on(0, ([name], connection) => {
      if (name !== "KEYS") return null;
      void (async () => {
        for (const piece of ["*", "2\r", "\n$1\r\n", "a\r\n$1\r\nb\r", "\n"]) {
          await sleep(5);
          connection.write(piece);
        }
      })();
      return undefined;
    });
    cluster.on(1, ([name]) => (name === "KEYS" ? "*3\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n" : null));
    client.send("KEYS", "*");
    client.send("GET", cluster.key(1, "behind"));
    const [keys, behind] = await client.replies(2);
    assert.equal(keys, "*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n");
    assert.match(behind!, /^\$/);
  });

  test("an error of one node is the whole answer, and nobody's keys are before it", async () => {
    const { client } = await cluster.open(cluster.database());
    cluster.on(0, ([name]) => (name === "KEYS" ? "*1\r\n$1\r\na\r\n" : null));
    cluster.on(1, ([name]) => (name === "KEYS" ? "-NOPERM this user has no permissions to run the 'keys' command\r\n" : null));
    assert.equal(await client.ask("KEYS", "*"), "-NOPERM this user has no permissions to run the 'keys' command\r\n");
    assert.equal(await client.ask("PING"), "+PONG\r\n");
  });

  test("a node that is lost before all have begun is asked again", async () => {
    const { client } = await cluster.open(cluster.database());
    let lost = 0;
    cluster.on(0, ([name], connection) => {
      if (name !== "KEYS") return null;
      if (lost++ > 0) return "*1\r\n$5\r\nagain\r\n";
      connection.end("*7\r\n$5\r\nfirst\r\n");
      return undefined;
    });
    cluster.on(1, ([name], connection) => {
      if (name !== "KEYS") return null;
      setTimeout(() => connection.write("*1\r\n$4\r\nlate\r\n"), 100);
      return undefined;
    });
    assert.equal(await client.ask("KEYS", "*"), "*2\r\n$5\r\nagain\r\n$4\r\nlate\r\n");
    assert.equal(lost, 2);
  });

  test("where a node is lost in the middle, the client's connection ends: whatever came would be taken for keys", async () => {
    const { client } = await cluster.open(cluster.database());
    cluster.on(0, ([name], connection) => {
      if (name !== "KEYS") return null;
      connection.write("*2\r\n$1\r\na\r\n");
      setTimeout(() => connection.end(), 50);
      return undefined;
    });
    cluster.on(1, ([name]) => (name === "KEYS" ? "*1\r\n$1\r\nb\r\n" : null));
    client.send("KEYS", "*");
    client.send("PING");
    await client.closed();
    assert.equal(client.waiting, 0);
  });
});
