import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { clientCommands } from "../../stacks/client-commands.ts";
import type { ClientFacts } from "../../stacks/client-commands.ts";
import { assertGolden } from "../components/support/golden.ts";

const directory = mkdtempSync(join(tmpdir(), "redis-access-commands-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

const plain: ClientFacts = {
  ...{ project: "/srv/redis-access", stack: "dev", address: { host: "127.0.0.1", port: 7379 }, user: "alice" },
  files: { ca: "/srv/redis-access/client/ca.crt", cert: "/srv/redis-access/client/client.crt", key: "/srv/redis-access/client/client.key" },
};

test("the commands to try are the golden ones", () => {
  assertGolden("try-it.sh", `${clientCommands(plain).join("\n")}\n`);
});

test("a shell takes every path, name and password as it is, and shows the password to nobody in an argument list", () => {
  const odd = `it's a "$HOME" \\ \`id\` *`;
  const user = `a'b"$c\\`;
  const password = `p'w"$x`;
  // Programs that say what they were called with, in the place of those that the commands name.
  const say = join(directory, "said");
  writeFileSync(join(directory, "npm"), `#!/bin/sh\nprintf '%s\\n' npm "$@" >> ${say}\ncat ${join(directory, "outputs.json")}\n`, { mode: 0o755 });
  writeFileSync(join(directory, "redis-cli"), `#!/bin/sh\nprintf '%s\\n' redis-cli "$@" "auth $REDISCLI_AUTH" >> ${say}\n`, { mode: 0o755 });
  writeFileSync(join(directory, "outputs.json"), JSON.stringify({ passwords: { [user]: password, alice: "other" } }));
  const facts: ClientFacts = { project: `/srv/${odd}`, stack: odd, address: { host: "::1", port: 7379 }, user, files: { ca: `${odd}.ca`, cert: `${odd}.crt`, key: `${odd}.key` } };
  const [first] = clientCommands(facts);
  const { status, stderr } = spawnSync("bash", ["-c", first!], { encoding: "utf8", env: { ...process.env, PATH: `${directory}:${process.env["PATH"] ?? ""}` } });
  assert.equal(status, 0, stderr);
  assert.deepEqual(readFileSync(say, "utf8").trimEnd().split("\n"), [
    ...["npm", "--prefix", `/srv/${odd}`, "run", "--silent", "outputs", "--", "--stack", odd, "--show-secrets"],
    ...["redis-cli", "-h", "::1", "-p", "7379", "--user", user, "--no-auth-warning", "--tls"],
    ...["--cacert", `${odd}.ca`, "--cert", `${odd}.crt`, "--key", `${odd}.key`, "SET", "greeting", "hello", `auth ${password}`],
  ]);
});
