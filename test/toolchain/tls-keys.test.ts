import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";

import { type Properties, secret, UNKNOWN } from "../../toolchain/bridge/lib/properties.ts";
import { create, output, outputsOf, SOME_RESOURCE, tls } from "./support/provider-call.ts";

const KINDS: readonly { readonly name: string; readonly inputs: Properties; readonly label: string }[] = [
  { name: "RSA", inputs: { algorithm: "RSA" }, label: "RSA PRIVATE KEY" },
  { name: "ECDSA P256", inputs: { algorithm: "ECDSA", ecdsaCurve: "P256" }, label: "EC PRIVATE KEY" },
  { name: "ECDSA P384", inputs: { algorithm: "ECDSA", ecdsaCurve: "P384" }, label: "EC PRIVATE KEY" },
  { name: "ECDSA P521", inputs: { algorithm: "ECDSA", ecdsaCurve: "P521" }, label: "EC PRIVATE KEY" },
  { name: "ED25519", inputs: { algorithm: "ED25519" }, label: "PRIVATE KEY" },
];

for (const { name, inputs, label } of KINDS) {
  describe(`a private key of kind ${name}`, () => {
    test("is the same key in every form, and its identifier is a hash of its public half", async () => {
      const key = await outputsOf(tls.PrivateKey, inputs);
      assert.ok(key.privateKeyPem!.startsWith(`-----BEGIN ${label}-----\n`));
      assert.ok(key.privateKeyPemPkcs8!.startsWith("-----BEGIN PRIVATE KEY-----\n"));
      const publicKey = createPublicKey(createPrivateKey(key.privateKeyPem!));
      assert.ok(publicKey.equals(createPublicKey(createPrivateKey(key.privateKeyPemPkcs8!))));
      assert.ok(publicKey.equals(createPublicKey(key.publicKeyPem!)));
      assert.equal(key.id, createHash("sha1").update(publicKey.export({ type: "spki", format: "der" })).digest("hex"));
    });

    test("ends every text with a newline", async () => {
      const key = await outputsOf(tls.PrivateKey, inputs);
      for (const form of ["privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh", "publicKeyPem", "publicKeyOpenssh"]) {
        assert.match(key[form]!, /[^\n]\n$/, form);
      }
    });

    test("is read by ssh-keygen, which finds the same public key and fingerprints", { skip: !hasSshKeygen() && "ssh-keygen is not installed" }, async () => {
      const key = await outputsOf(tls.PrivateKey, inputs);
      const directory = mkdtempSync(path.join(tmpdir(), "tls-keys-"));
      try {
        const file = path.join(directory, "key");
        writeFileSync(file, key.privateKeyOpenssh!, { mode: 0o600 });
        const keygen = (...args: string[]): string => execFileSync("ssh-keygen", [...args, "-f", file], { encoding: "utf8" });
        assert.equal(`${keygen("-y").trim().split(" ").slice(0, 2).join(" ")}\n`, key.publicKeyOpenssh);
        assert.ok(keygen("-l").includes(key.publicKeyFingerprintSha256!));
        assert.ok(keygen("-l", "-E", "md5").includes(key.publicKeyFingerprintMd5!));
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  });
}

test("the state holds the defaults of all algorithms, and the version of its schema", async () => {
  const { outputs } = await create(tls.PrivateKey, { algorithm: "ED25519" });
  assert.equal(outputs.rsaBits, 2048);
  assert.equal(outputs.ecdsaCurve, "P224");
  assert.equal(outputs.__meta, '{"schema_version":"1"}');
});

test("the private forms are secret, the public ones are not", async () => {
  const state = await create(tls.PrivateKey, { algorithm: "ED25519" });
  for (const [name, value] of Object.entries(state.outputs)) {
    const isPrivate = name.startsWith("privateKey");
    assert.deepEqual(value, isPrivate ? secret(output(state, name) as string) : output(state, name), name);
  }
});

test("a key on the curve P224 has no OpenSSH form", async () => {
  const key = await outputsOf(tls.PrivateKey, { algorithm: "ECDSA" });
  assert.equal(key.privateKeyOpenssh, "");
  assert.equal(key.publicKeyOpenssh, "");
  assert.equal(key.publicKeyFingerprintSha256, "");
});

test("a preview knows the inputs and nothing of the key", async () => {
  const { outputs } = await tls.PrivateKey.create(SOME_RESOURCE, { algorithm: "ED25519" }, true);
  assert.equal(outputs.algorithm, "ED25519");
  assert.equal(outputs.publicKeyPem, UNKNOWN);
  assert.deepEqual(outputs.privateKeyPem, secret(UNKNOWN));
});

test("a key is kept as long as its inputs are, be they given or defaults", async () => {
  const state = await create(tls.PrivateKey, { algorithm: "RSA" });
  assert.deepEqual(tls.PrivateKey.diff(state, { algorithm: "RSA" }), {});
  assert.deepEqual(tls.PrivateKey.diff(state, { algorithm: "RSA", rsaBits: 2048 }), {});
});

test("any change makes a new key", async () => {
  const state = await create(tls.PrivateKey, { algorithm: "ECDSA", ecdsaCurve: "P256" });
  assert.deepEqual(tls.PrivateKey.diff(state, { algorithm: "ECDSA", ecdsaCurve: "P384" }), { ecdsaCurve: { kind: "update", replace: true } });
});

test("a wrong algorithm, curve or size is refused by name, with what would be right", () => {
  const failures = (inputs: Properties): readonly string[] => tls.PrivateKey.check(inputs).failures.map(({ property, reason }) => `${property}: ${reason}`);
  assert.deepEqual(failures({ algorithm: "DSA" }), ['algorithm: algorithm is "DSA": give one of RSA, ECDSA, ED25519']);
  assert.deepEqual(failures({ algorithm: "ECDSA", ecdsaCurve: "P-256" }), ['ecdsaCurve: ecdsaCurve is "P-256": give one of P224, P256, P384, P521']);
  assert.deepEqual(failures({ algorithm: "RSA", rsaBits: 512 }), ["rsaBits: rsaBits is 512: give a whole number of at least 1024"]);
});

function hasSshKeygen(): boolean {
  try {
    execFileSync("sh", ["-c", "command -v ssh-keygen"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
