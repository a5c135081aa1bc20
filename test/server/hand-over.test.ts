import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startSuccessor } from "../../proxy/server/hand-over.ts";
import { ListeningSockets } from "../../proxy/server/listening-sockets.ts";
import { isAlive } from "../support/is-alive.ts";
import { waitFor } from "../support/wait-for.ts";

test("a successor that never takes clients is ended", async () => {
  const directory = mkdtempSync(join(tmpdir(), "redis-access-successor-"));
  try {
    const [file, pidFile] = [join(directory, "successor.json"), join(directory, "pid")];
    writeFileSync(file, JSON.stringify({ command: ["/bin/sh", "-c", `echo $$ > ${pidFile}; exec sleep 60`], environment: { PATH: process.env["PATH"] } }));
    await assert.rejects(startSuccessor(file, new ListeningSockets(), [], 500), /the successor has taken no clients within 500 ms, and was ended/);
    await waitFor("its end", 5_000, () => !existsSync(pidFile) || !isAlive(Number(readFileSync(pidFile, "utf8"))));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
