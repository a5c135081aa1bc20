/** What a look at a program makes of what passes by itself while it looks. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import type { Finding } from "../../../components/drift.ts";
import { fingerprintOf } from "../../../components/provider/own-process.ts";
import type { ProcessInputs } from "../../../components/provider/process-inputs.ts";
import { isSuspended, plainPath, recordOf, restoreRecord } from "../../../components/provider/process-record.ts";
import { processResource } from "../../../components/provider/process-resource.ts";
import { waitFor } from "../../support/wait-for.ts";

const root = realpathSync(mkdtempSync(path.join(tmpdir(), "redis-access-look-")));
const living = new Set<number>();
after(() => {
  for (const pid of living) process.kill(pid, "SIGKILL");
  rmSync(root, { recursive: true });
});

const args = ["--eval", 'require("node:net").createServer().listen(0, "127.0.0.1", function () { console.log(this.address().port); })'];
const inputs: ProcessInputs = {
  ...{ program: process.execPath, args, directory: root, environment: {}, logFile: path.join(root, "log"), recordFile: path.join(root, "it.process") },
  ...{ privateFiles: [], listens: [], readyTcp: "127.0.0.1:1", readyHttp: undefined, readyRedis: undefined, nodeDeclaration: undefined, proxyDeclaration: undefined },
  ...{ clusterPeers: [], clusterFile: undefined, successorFile: undefined, readyLimitSeconds: 1, stopLimitSeconds: 1, restartOn: {}, reloadOn: {} },
};

/** By a shell that ends: what this process has started itself is nobody's stranger. */
async function start(): Promise<number> {
  const shell = spawn("setsid", ["sh", "-c", '"$@" & echo $!', "sh", inputs.program, ...args], { cwd: root, env: { PATH: plainPath }, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  shell.stdout.on("data", (text: Buffer) => (said += text.toString()));
  while (!/^\d+\n\d+\n/.test(said)) await once(shell.stdout, "data");
  const pid = Number(said.split("\n")[0]);
  living.add(pid);
  return pid;
}

async function suspend(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await waitFor("it is suspended", 5000, () => isSuspended({ pid }));
}

async function end(pid: number): Promise<void> {
  living.delete(pid);
  process.kill(pid, "SIGKILL");
  await waitFor("it is gone", 5000, async () => (await recordOf(pid)) === undefined);
}

const record = async (pid: number): Promise<void> => restoreRecord(inputs.recordFile, { ...(await recordOf(pid))!, fingerprint: fingerprintOf(inputs) });

async function look(): Promise<{ state: unknown; drift: string[] }> {
  const { state, drift } = (await processResource.read(inputs, {}))!;
  return { state, drift: (drift as Finding[]).map(({ thing, actual }) => `${thing}: ${actual}`) };
}

test("a program that is suspended for a moment is no drift, and one that stays so is", async () => {
  const pid = await start();
  await record(pid);
  assert.deepEqual(await look(), { state: "running", drift: [] });
  await suspend(pid);
  setTimeout(() => process.kill(pid, "SIGCONT"), 1000);
  assert.deepEqual(await look(), { state: "running", drift: [] });
  await suspend(pid);
  assert.match((await look()).drift.join(), /suspended by a signal/);
  await end(pid);
});

test("a program that has taken the place of the one that was looked at is no undeclared one; one that stays beside it is", async () => {
  const [before, now] = [await start(), await start()];
  await record(before);
  setTimeout(() => {
    void end(before).then(() => record(now));
  }, 150);
  assert.deepEqual(await look(), { state: "running", drift: [] });
  const other = await start();
  const { drift } = await look();
  assert.equal(drift.length, 1);
  assert.match(drift[0]!, new RegExp(`^undeclared program: node \\(pid ${other}\\)`));
});
