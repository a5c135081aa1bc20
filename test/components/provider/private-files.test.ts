/** What becomes of the files that a program writes itself, and that only its owner may read. */
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { closePrivateFiles, comparePrivateFiles, findLostFiles } from "../../../components/provider/private-files.ts";

const root = realpathSync(mkdtempSync(path.join(tmpdir(), "redis-access-private-")));
after(() => {
  rmSync(root, { recursive: true });
});
const at = (name: string): string => path.join(root, name);
const found = async (file: string): Promise<string[]> => (await comparePrivateFiles([file])).map(({ thing, actual, mend }) => `${thing}: ${actual} (${mend})`);

test("a log that is opened to others, or leads elsewhere, is told and put right; what it led to stays", async () => {
  const log = at("a.log");
  assert.deepEqual(await found(log), [], "one that is not written yet");
  writeFileSync(log, "a line\n");
  chmodSync(log, 0o640);
  assert.deepEqual(await found(log), ["mode of a.log: 0640 (write)"]);
  await closePrivateFiles([log]);
  assert.deepEqual(await found(log), []);
  renameSync(log, at("elsewhere"));
  symlinkSync(at("elsewhere"), log);
  assert.deepEqual(await found(log), [`a.log: a symbolic link to ${at("elsewhere")} (write)`]);
  await closePrivateFiles([log]);
  assert.deepEqual([existsSync(log), readFileSync(at("elsewhere"), "utf8")], [false, "a line\n"]);
  mkdirSync(log);
  assert.deepEqual(await found(log), ["a.log: a directory (refuse)"]);
  await assert.rejects(closePrivateFiles([log]), /a\.log is a directory; expected a regular file/);
  assert.ok(lstatSync(log).isDirectory());
});

test("a file that a program goes on writing to under no name, or another, is told", async () => {
  const audit = at("audit.log");
  const lost = async (): Promise<string[]> => (await findLostFiles(process.pid, [audit])).map(({ file, actual }) => `${path.basename(file)}: ${actual}`);
  await using handle = await open(audit, "a", 0o600);
  assert.deepEqual(await lost(), []);
  renameSync(audit, at("audit.log.1"));
  assert.deepEqual(await lost(), ["audit.log: gone: the program goes on writing to what was deleted or moved away"]);
  copyFileSync(at("audit.log.1"), audit);
  assert.deepEqual(await lost(), ["audit.log: another file than the one that the program writes to"]);
  renameSync(at("audit.log.1"), audit);
  assert.deepEqual(await lost(), []);
  rmSync(audit);
  assert.equal((await lost()).length, 1);
  assert.equal((await handle.stat()).nlink, 0);
});
