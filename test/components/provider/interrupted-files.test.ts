/** What a writer leaves behind that is killed in the middle of a file. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { temporaryOf, writeFileAtomically } from "../../../components/provider/atomic-file.ts";
import { describeForeign, directoryResource } from "../../../components/provider/directory-resource.ts";

const owner = `${process.getuid!()}:${process.getgid!()}`;
let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "redis-access-files-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

test("is removed by whoever writes the file next", async () => {
  const file = path.join(root, "redis.conf");
  writeFileSync(temporaryOf(file), "tls-po");
  await writeFileAtomically(file, "tls-port 7001\n", "0600", owner);
  assert.deepEqual(readdirSync(root), ["redis.conf"]);
  assert.equal(readFileSync(file, "utf8"), "tls-port 7001\n");
});

test("does not make a new directory a stranger's, and goes with it", async () => {
  const directory = path.join(root, "nodes");
  const inputs = { path: directory, mode: "0700", purge: false, keep: [], stack: "shop/dev" };
  await directoryResource.create(inputs, { say: () => undefined, status: () => undefined });
  const [marker] = readdirSync(directory) as [string];
  rmSync(path.join(directory, marker));
  writeFileSync(temporaryOf(path.join(directory, marker)), "Made by");
  assert.equal(await describeForeign(directory, "shop/dev"), undefined);
  await directoryResource.delete(inputs, {}, false);
  assert.ok(!existsSync(directory));
});
