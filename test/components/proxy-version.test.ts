import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { configurationHash } from "../../components/proxy-version.ts";
import { LoadedFiles } from "../../proxy/server/loaded-files.ts";

test("a proxy says of its files what the stack says of them, in whatever order it read them", async () => {
  const directory = mkdtempSync(join(tmpdir(), "proxy-version-"));
  try {
    const contents = { "proxy.yaml": "name: a\n", "server.crt": "ä certificate", "keys/b.key": "" };
    const files = new LoadedFiles(directory);
    for (const [name, content] of Object.entries(contents).reverse()) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), content);
      await files.read(join(directory, name));
    }
    assert.equal(files.sha256, configurationHash(contents));
    assert.notEqual(files.sha256, configurationHash({ ...contents, "server.crt": "another" }));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
