/** A symbolic link in the place of a directory that the stack has made, and who works in one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import type { Finding } from "../../../components/drift.ts";
import { directoryResource } from "../../../components/provider/directory-resource.ts";

const root = realpathSync(mkdtempSync(path.join(tmpdir(), "redis-access-link-")));
after(() => {
  rmSync(root, { recursive: true });
});
const report = { say: () => undefined, status: () => undefined };

test("a link is told by where it leads, and neither taken for a directory that is gone nor emptied", async () => {
  const [place, elsewhere] = [path.join(root, "data"), path.join(root, "big")];
  const inputs = { path: place, mode: "0700", purge: true, keep: [], stack: "redis-access/dev" };
  const state = { ...inputs, ...(await directoryResource.create(inputs, report)) };
  assert.deepEqual((await directoryResource.read(inputs, state))?.["drift"], []);
  writeFileSync(path.join(place, "dump.rdb"), "data");
  renameSync(place, elsewhere);
  symlinkSync(elsewhere, place);
  const reason = `${place} is a symbolic link to ${elsewhere}; expected a directory. Stop what works there, and move what it leads to back in its place, or declare that directory`;
  assert.deepEqual((await directoryResource.read(inputs, state))?.["drift"], [{ thing: "data/", declared: "a directory", actual: `a symbolic link to ${elsewhere}`, mend: "refuse", refusals: [reason] }]);
  for (const refused of [directoryResource.create(inputs, report), directoryResource.update(inputs, state, report), directoryResource.delete(inputs, state, false)]) await assert.rejects(refused, { message: reason });
  assert.ok(readdirSync(elsewhere).includes("dump.rdb"));
  rmSync(place);
  renameSync(elsewhere, place);
  assert.deepEqual((await directoryResource.read(inputs, state))?.["drift"], []);
  await directoryResource.delete(inputs, state, false);
  assert.deepEqual(readdirSync(root), []);
});

test("a program whose record is lost is no stranger where its log is: it is told with its process", async () => {
  const inputs = { path: path.join(root, "data"), mode: "0700", purge: true, keep: [], stack: "redis-access/dev" };
  const state = { ...inputs, ...(await directoryResource.create(inputs, report)) };
  const shell = spawn("setsid", ["sh", "-c", '"$@" & echo $!', "sh", process.execPath, "--eval", 'require("node:net").createServer().listen(0, "127.0.0.1", () => console.log("listens"))'], { cwd: inputs.path, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  shell.stdout.on("data", (text: Buffer) => (said += text.toString()));
  while (!/^\d+\nlistens\n/.test(said)) await once(shell.stdout, "data");
  try {
    const things = async (): Promise<string[]> => ((await directoryResource.read(inputs, state))?.["drift"] as Finding[]).map(({ thing }) => thing);
    assert.deepEqual(await things(), ["undeclared program"]);
    writeFileSync(path.join(root, "redis.log"), "");
    assert.deepEqual(await things(), []);
  } finally {
    process.kill(Number.parseInt(said, 10), "SIGKILL");
  }
});
