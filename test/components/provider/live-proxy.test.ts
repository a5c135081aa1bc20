/** What is told of a running proxy beside what it answers. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { compareProxy } from "../../../components/provider/live-proxy.ts";

const root = realpathSync(mkdtempSync(path.join(tmpdir(), "redis-access-live-proxy-")));
const [program, configuration] = ["a".repeat(64), "b".repeat(64)];
/** Answers as a proxy does at its `/version`, and opens Node's debugger once it is asked to, on any port. */
const script = `
import { createServer } from "node:http";
import inspector from "node:inspector";
const server = createServer((request, response) => {
  if (request.url === "/debugger") inspector.open(0, "127.0.0.1");
  response.end(JSON.stringify({ program: ${JSON.stringify(program)}, configuration: ${JSON.stringify(configuration)} }));
}).listen(0, "127.0.0.1", () => console.log(server.address().port));
`;
const logFile = path.join(root, "proxy.log");
const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: ["ignore", "pipe", openSync(logFile, "a", 0o600)] });
after(() => {
  child.kill("SIGKILL");
  rmSync(root, { recursive: true });
});

test("a port that it has opened beside its own, as Node's debugger does, is told, and closed by a restart", async () => {
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  const port = Number(line.toString());
  const url = `http://127.0.0.1:${port}/version`;
  const look = (): ReturnType<typeof compareProxy> => compareProxy({ url, program, configuration }, { pid: child.pid!, listens: [{ port }], logFile, privateFiles: [] });
  assert.deepEqual(await look(), []);
  await fetch(url.replace("version", "debugger"));
  const [finding, ...more] = await look();
  assert.match(finding!.thing, /^port \d+$/);
  assert.deepEqual([finding!.declared, finding!.mend, more], ["closed", "restart", []]);
});
