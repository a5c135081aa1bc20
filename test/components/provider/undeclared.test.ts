/** Who is told as an undeclared program of a directory, and who is not. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { ancestorsOf } from "../../../components/provider/process-record.ts";
import { findUndeclared } from "../../../components/provider/undeclared.ts";

const root = realpathSync(mkdtempSync(path.join(tmpdir(), "redis-access-undeclared-")));
const program = process.execPath;
const place = path.join(root, "proxy");
mkdirSync(path.join(place, "below"), { recursive: true });
const script = path.join(place, "serve.mjs");
writeFileSync(script, 'import { createServer } from "node:net"; const server = createServer().listen(0, "127.0.0.1", () => console.log(`${process.pid} ${server.address().port}`));');
/** Each leads a process group of its own. */
const started: number[] = [];
after(() => {
  for (const pid of started) process.kill(-pid, "SIGKILL");
  rmSync(root, { recursive: true });
});

/** Not by this process, whose family does not count: by a shell that ends. Gives the pid and the port, where it says them. */
async function begin(directory: string, ...command: readonly string[]): Promise<readonly [pid: number, port: number]> {
  const shell = spawn("setsid", ["sh", "-c", 'echo $$; "$@" &', "sh", ...command], { cwd: directory, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  shell.stdout.on("data", (text: Buffer) => (said += text.toString()));
  while (!/^\d+\n\d+ \d+\n/.test(said)) await once(shell.stdout, "data");
  const [group, pid, port] = said.split(/\s/).map(Number) as [number, number, number];
  started.push(group);
  return [pid, port];
}

const told = async (...args: Parameters<typeof findUndeclared>): Promise<string[]> => (await findUndeclared(...args)).map(({ actual, mend }) => `${mend}: ${actual}`).sort();

test("who listens and works in the directory, or was started with something of it, and belongs to nobody who is declared", async () => {
  const [[inside, insidePort], [elsewhere, elsewherePort]] = await Promise.all([begin(path.join(place, "below"), process.execPath, "../serve.mjs"), begin(root, process.execPath, script)]);
  // Listens on nothing: whoever looks at the logs.
  await begin(place, "sh", "-c", "echo 1 1; exec sleep 60");
  const ofInside = `leave: node (pid ${inside}) works in ${place}/below and listens on port ${insidePort}`;
  const ofElsewhere = `leave: node (pid ${elsewhere}) was started with ${script} and listens on port ${elsewherePort}`;
  assert.deepEqual(await told(place, { program, pid: undefined }), [ofInside, ofElsewhere].sort());
  assert.deepEqual(await told(place, { program, pid: inside }), [ofElsewhere]);
  assert.deepEqual(await told(place, { program: "/usr/bin/redis-server", pid: undefined }), [ofInside], "who was given a log to read");
  assert.deepEqual(await told(path.join(place, "below")), [ofInside]);
  assert.deepEqual(await told(place), []);
  const [finding] = await findUndeclared(place, { program, pid: inside });
  assert.ok(Math.abs(Date.parse(finding!.since!) - Date.now()) < 60_000);
});

test("not the programs that a declared one has started", async () => {
  const [worker] = await begin(place, "sh", "-c", '"$@"; exit', "sh", process.execPath, script);
  const isTold = async (own: number | undefined): Promise<boolean> => (await told(place, { program, pid: own })).some((text) => text.includes(`(pid ${worker})`));
  const [parent] = (await ancestorsOf(worker)) as [number];
  assert.deepEqual([await isTold(undefined), await isTold(parent)], [true, false]);
});
