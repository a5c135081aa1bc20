import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { renderProxyConfig } from "../../components/proxy-config.ts";
import type { ProxyConfigFile } from "../../components/proxy-config.ts";
import { assertGolden } from "./support/golden.ts";

const config: ProxyConfigFile = {
  name: "dev",
  tls: { cert_file: "server.crt", key_file: "server.key", client_ca_file: "user-ca.crt" },
  db_client: { ca_cert_file: "db-client-ca.crt", ca_key_file: "db-client-ca.key" },
  admin: { listen: "127.0.0.1:7390" },
  audit: { file: "audit.log", commands: "all" },
  databases: [
    {
      name: "example-redis",
      protocol: "redis",
      uri: "rediss://127.0.0.1:7001?mode=cluster",
      nodes: ["127.0.0.1:7002", "127.0.0.1:7003"],
      static_labels: { env: "dev", answer: "no", since: "2026-01-01", time: "7:30" },
      tls: { ca_cert_file: "redis-ca.crt" },
      listen: "127.0.0.1:7379",
      profile: "guide",
      service_user: { name: "proxy", password_file: "proxy.password" },
    },
  ],
};

test("proxy.yaml is the golden one", () => {
  assertGolden("proxy.yaml", renderProxyConfig(config));
});

/** Only what must be there, and a server at an IPv6 address. */
const least: ProxyConfigFile = {
  name: "door-2",
  tls: config.tls,
  db_client: config.db_client,
  databases: [{ name: "42", protocol: "redis", uri: "rediss://[fd00::1]:6379", tls: { ca_cert_file: "redis-ca.crt" }, listen: "[::1]:7379" }],
};

test("proxy.yaml of a standalone server, with only what must be there, is the golden one", () => {
  assertGolden("proxy-standalone.yaml", renderProxyConfig(least));
});

test("what is written comes back the same, for readers of YAML 1.1 and 1.2", () => {
  for (const version of ["1.1", "1.2"] as const) for (const one of [config, least]) assert.deepEqual(parse(renderProxyConfig(one), { version }), one);
});
