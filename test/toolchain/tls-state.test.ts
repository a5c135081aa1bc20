import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { type Properties, secret, UNKNOWN } from "../../toolchain/bridge/lib/properties.ts";
import type { ResourceState } from "../../toolchain/bridge/lib/resource-type.ts";
import { create, newAuthority, newKey, output, outputsOf, SOME_RESOURCE, tls } from "./support/provider-call.ts";

const HOUR_MS = 3_600_000;

describe("the state of a self-signed certificate", () => {
  let inputs: Properties;
  let state: ResourceState;

  before(async () => {
    inputs = { privateKeyPem: await newKey(), allowedUses: ["cert_signing"], validityPeriodHours: 10, subject: { commonName: "CA" }, isCaCertificate: true };
    state = await create(tls.SelfSignedCert, inputs);
  });

  test("holds the inputs, the defaults, and what was computed", () => {
    assert.deepEqual(Object.keys(state.outputs).sort(), [
      ...["allowedUses", "certPem", "earlyRenewalHours", "id", "isCaCertificate", "keyAlgorithm", "maxPathLength", "privateKeyPem"],
      ...["readyForRenewal", "setAuthorityKeyId", "setSubjectKeyId", "subject", "validityEndTime", "validityPeriodHours", "validityStartTime"],
    ]);
    assert.match(state.id, /^\d+$/);
    assert.equal(state.outputs.id, state.id);
    assert.equal(state.outputs.maxPathLength, -1);
    assert.equal(state.outputs.keyAlgorithm, "ECDSA");
    assert.deepEqual(state.outputs.privateKeyPem, secret(inputs.privateKeyPem!));
    assert.equal(Date.parse(output(state, "validityEndTime") as string) - Date.parse(output(state, "validityStartTime") as string), 10 * HOUR_MS);
  });

  test("differs from nothing when the inputs are the same, or say the defaults aloud", () => {
    assert.deepEqual(tls.SelfSignedCert.diff(state, inputs), {});
    assert.deepEqual(tls.SelfSignedCert.diff(state, { ...inputs, setSubjectKeyId: false, earlyRenewalHours: 0, maxPathLength: -1 }), {});
    assert.deepEqual(tls.SelfSignedCert.diff(state, { ...inputs, privateKeyPem: secret(inputs.privateKeyPem!) }), {});
  });

  test("asks for a new certificate where what it says changes", async () => {
    const changed: Properties = { subject: { commonName: "other" }, allowedUses: [], validityPeriodHours: 11, isCaCertificate: false, maxPathLength: 0, privateKeyPem: await newKey() };
    for (const [name, value] of Object.entries(changed)) {
      assert.deepEqual(tls.SelfSignedCert.diff(state, { ...inputs, [name]: value }), { [name]: { kind: "update", replace: true } }, name);
    }
    assert.deepEqual(tls.SelfSignedCert.diff(state, { ...inputs, dnsNames: ["x"] }), { dnsNames: { kind: "add", replace: true } });
  });

  test("asks for a new certificate where the key is not known yet", () => {
    assert.deepEqual(tls.SelfSignedCert.diff(state, { ...inputs, privateKeyPem: UNKNOWN }), { privateKeyPem: { kind: "update", replace: true } });
  });

  test("is changed in place where only the time of renewal changes", async () => {
    const news = { ...inputs, earlyRenewalHours: 2 };
    assert.deepEqual(tls.SelfSignedCert.diff(state, news), { earlyRenewalHours: { kind: "update", replace: false } });
    const updated = await tls.SelfSignedCert.update(SOME_RESOURCE, state, news, false);
    assert.deepEqual(updated, { ...state.outputs, earlyRenewalHours: 2 });
  });

  test("asks for renewal as soon as the certificate is that near its end", () => {
    assert.deepEqual(tls.SelfSignedCert.diff(state, { ...inputs, earlyRenewalHours: 10 }), {
      earlyRenewalHours: { kind: "update", replace: false },
      readyForRenewal: { kind: "update", replace: true },
    });
    assert.equal(tls.SelfSignedCert.read({ ...state, outputs: { ...state.outputs, earlyRenewalHours: 10 } }).readyForRenewal, true);
    assert.equal(tls.SelfSignedCert.read({ ...state, outputs: { ...state.outputs, earlyRenewalHours: 9 } }).readyForRenewal, false);
  });

  test("is read back as it is", () => {
    assert.deepEqual(tls.SelfSignedCert.read(state), state.outputs);
  });
});

test("a state that holds a hash in place of a key, as very old ones do, is brought up to date in place", async () => {
  const inputs = { privateKeyPem: await newKey(), allowedUses: [], validityPeriodHours: 10 };
  const state = await create(tls.SelfSignedCert, inputs);
  const old = { ...state, outputs: { ...state.outputs, privateKeyPem: "52a8f4a1d8f5b7cf3b6f2a9b1c0d4e5f60718293" } };
  assert.deepEqual(tls.SelfSignedCert.diff(old, inputs), { privateKeyPem: { kind: "update", replace: false } });
});

test("the state of a request, and of a certificate made from it, differ from nothing when the inputs are the same", async () => {
  const authority = await newAuthority();
  const request = { privateKeyPem: await newKey(), subject: { commonName: "leaf" }, ipAddresses: ["127.0.0.1"] };
  const requestState = await create(tls.CertRequest, request);
  assert.deepEqual(Object.keys(requestState.outputs).sort(), ["certRequestPem", "id", "ipAddresses", "keyAlgorithm", "privateKeyPem", "subject"]);
  assert.deepEqual(tls.CertRequest.diff(requestState, request), {});

  const certificate = { caCertPem: authority.certPem, caPrivateKeyPem: authority.keyPem, certRequestPem: output(requestState, "certRequestPem") as string, allowedUses: ["server_auth"], validityPeriodHours: 5 };
  const state = await create(tls.LocallySignedCert, certificate);
  assert.deepEqual(Object.keys(state.outputs).sort(), [
    ...["allowedUses", "caCertPem", "caKeyAlgorithm", "caPrivateKeyPem", "certPem", "certRequestPem", "earlyRenewalHours", "id"],
    ...["isCaCertificate", "maxPathLength", "readyForRenewal", "setSubjectKeyId", "validityEndTime", "validityPeriodHours", "validityStartTime"],
  ]);
  assert.deepEqual(state.outputs.caPrivateKeyPem, secret(authority.keyPem));
  assert.deepEqual(tls.LocallySignedCert.diff(state, certificate), {});
  const other = await newAuthority();
  assert.deepEqual(tls.LocallySignedCert.diff(state, { ...certificate, caCertPem: other.certPem }), { caCertPem: { kind: "update", replace: true } });
});

test("a state that the official provider has written differs from nothing", async () => {
  // The form of a state of pulumi-tls 5.0.0, as its own repository records it, which has no maxPathLength; that came later.
  const privateKeyPem = await newKey({ algorithm: "ECDSA", ecdsaCurve: "P384" });
  const inputs = { allowedUses: ["cert_signing"], privateKeyPem, subject: { commonName: "api.example.com" }, validityPeriodHours: 876_000 };
  const { certPem } = await outputsOf(tls.SelfSignedCert, inputs);
  const official = {
    id: "119949912264102064646439690837239176073",
    outputs: {
      ...inputs,
      certPem: certPem!,
      earlyRenewalHours: 0,
      id: "119949912264102064646439690837239176073",
      isCaCertificate: false,
      keyAlgorithm: "ECDSA",
      maxPathLength: -1,
      readyForRenewal: false,
      setAuthorityKeyId: false,
      setSubjectKeyId: false,
      validityEndTime: "2126-02-20T18:32:32.577151145Z",
      validityStartTime: "2026-03-16T18:32:32.577151145Z",
    },
  };
  assert.deepEqual(tls.SelfSignedCert.diff(official, inputs), {});
});

test("inputs that are missing, unknown or out of range are refused by name", async () => {
  const reasons = (inputs: Properties): readonly string[] => tls.SelfSignedCert.check(inputs).failures.map(({ property }) => property);
  const good = { privateKeyPem: await newKey(), allowedUses: ["any_extended"], validityPeriodHours: 0 };
  assert.deepEqual(reasons(good), []);
  assert.deepEqual(reasons({}), ["privateKeyPem", "allowedUses", "validityPeriodHours"]);
  assert.deepEqual(reasons({ ...good, allowedUses: ["client_auth", "clientAuth"] }), ["allowedUses"]);
  assert.deepEqual(reasons({ ...good, validityPeriodHours: -1 }), ["validityPeriodHours"]);
  assert.deepEqual(reasons({ ...good, earlyRenewalHours: 1.5 }), ["earlyRenewalHours"]);
  assert.deepEqual(reasons({ ...good, commonName: "x" }), ["commonName"]);
  assert.match(tls.SelfSignedCert.check({ ...good, privateKeyPemWo: "x" }).failures[0]!.reason, /needs the official tls plugin/);
});

test("inputs that are not known yet pass the check", () => {
  const inputs = { privateKeyPem: UNKNOWN, allowedUses: [UNKNOWN], validityPeriodHours: UNKNOWN };
  assert.deepEqual(tls.SelfSignedCert.check(inputs).failures, []);
  assert.deepEqual(tls.SelfSignedCert.check(inputs).inputs, { ...inputs, privateKeyPem: secret(UNKNOWN) });
});
