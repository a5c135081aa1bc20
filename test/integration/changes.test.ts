/** What the stack's configuration changes reaches the running nodes. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Environment } from "../support/environment.ts";
import { askNode } from "../support/environment-clients.ts";

describe("a change of the stack's configuration", () => {
  let environment: Environment;
  let password: string;

  before(async () => {
    environment = await Environment.start();
    password = (await environment.outputs()).passwords["alice"]!;
  });
  after(() => environment.stop());

  /** Asks every node. */
  async function askAll(command: string, ...args: string[]): Promise<unknown[]> {
    return Promise.all(environment.nodePorts.map((port) => askNode(environment, password, port, command, ...args)));
  }

  test("that Redis takes while it runs is told to the running nodes", async () => {
    const before = environment.processes();
    environment.configure({ redisParameters: { maxmemory: "200mb", "maxmemory-policy": "allkeys-lru" }, nodeTimeoutMs: 1500, users: ["alice", "bob"] });
    await environment.succeed("up", "--yes", "--skip-preview");
    assert.deepEqual(environment.processes(), before);
    for (const parameter of ["maxmemory", "maxmemory-policy", "cluster-node-timeout"]) {
      const expected = { maxmemory: "209715200", "maxmemory-policy": "allkeys-lru", "cluster-node-timeout": "1500" }[parameter];
      assert.deepEqual(await askAll("CONFIG", "GET", parameter), environment.nodePorts.map(() => [parameter, expected]));
    }
    for (const users of await askAll("ACL", "USERS")) assert.deepEqual(users, ["alice", "bob", "default", "provisioner", "proxy", "replica-user"]);
    await environment.succeed("preview", "--refresh", "--expect-no-changes");
  });
});
