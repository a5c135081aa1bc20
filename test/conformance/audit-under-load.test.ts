import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";
import { waitFor } from "../support/wait-for.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";

const fixtures = clusterBehindProxy();
const requests = 400_000;

/** How many lines of the audit tell of a GET. */
async function auditedGets(file: string): Promise<number> {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(file) })) if (line.includes('"command":"get"')) count++;
  return count;
}

test("commands that come faster than the audit can be written wait for it: none is refused, none is missing", async () => {
  const { proxy, cluster } = fixtures;
  const auditFile = join(proxy.directory, "audit.log");
  const load = ["-c", "50", "-P", "64", "-n", String(requests), "-r", "100000", "-t", "get", "--csv"];
  // It ends with exit code 1 at the first error reply.
  await promisify(execFile)("redis-benchmark", [...proxy.redisCliArguments(), "-a", cluster.passwords["alice"]!, ...load], { timeout: 120_000 });
  const expected = Math.ceil(requests / 64) * 64;
  await waitFor("every command is in the audit", 30_000, async () => (await auditedGets(auditFile)) >= requests, 1000);
  assert.ok((await auditedGets(auditFile)) <= expected + 50 * 64);
});
