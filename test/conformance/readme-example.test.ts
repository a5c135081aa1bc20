import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { clientUri } from "../../components/client-uri.ts";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { runProgram } from "../support/run-program.ts";

const project = join(import.meta.dirname, "../..");
const fixtures = clusterBehindProxy();

test("the README's program of an application connects as it is written there, with what the outputs give", async () => {
  const { proxy, cluster } = fixtures;
  const program = /^```js\n([^]*?)^```$/m.exec(readFileSync(join(project, "README.md"), "utf8"))![1]!;
  const outputs = { connectionUri: clientUri("alice", { host: "127.0.0.1", port: proxy.port }), passwords: { alice: cluster.passwords["alice"]! }, clientFiles: proxy.tlsFiles() };
  // Whatever goes wrong is an event without a listener, which ends the program.
  const use = 'await redis.set("greeting", "hello");\nconsole.log(await redis.get("greeting"));\nredis.disconnect();\n';
  const output = await runProgram(process.execPath, ["--input-type=module", "--eval", program + use], { directory: project, environment: { OUTPUTS: JSON.stringify(outputs) }, limitMs: 30_000 });
  assert.equal(output, "hello\n");
});
