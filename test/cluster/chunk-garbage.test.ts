import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { proxyNodeArguments } from "../../components/proxy-bundle.ts";

/** Takes 2 GiB of chunks, 1 MiB a turn of the event loop, and says how many mebibytes of them there were at most. */
const program = `
  import { setImmediate as turn } from "node:timers/promises";
  import { chunkReceived } from ${JSON.stringify(import.meta.resolve("../../proxy/cluster/chunk-garbage.ts"))};
  let most = 0;
  for (let i = 0; i < 2048; i++) {
    for (let j = 0; j < 64; j++) chunkReceived(Buffer.allocUnsafeSlow(16384));
    most = Math.max(most, process.memoryUsage().arrayBuffers);
    await turn();
  }
  console.log(Math.round(most / 1048576));
`;

test("no more than a few times sixteen mebibytes of chunks become garbage before they are freed", () => {
  const most = Number(execFileSync(process.execPath, [...proxyNodeArguments, "--input-type=module", "-e", program], { encoding: "utf8" }));
  assert.ok(most >= 16 && most <= 40, `${most} MiB`);
});
