import assert from "node:assert/strict";
import { test } from "node:test";
import { clientUri } from "../../../components/client-uri.ts";
import { defaultNodes } from "../../../components/cluster-plan.ts";
import { clusterCreationArguments } from "../../../components/provider/redis-cli.ts";

test("a cluster is created by the guide's own command line, without the password", () => {
  const args = clusterCreationArguments({ nodes: defaultNodes, replicasPerMaster: 1, user: "alice", caFile: "ca.crt", certFile: "server.crt", keyFile: "server.key" });
  const addresses = "127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003 127.0.0.1:7004 127.0.0.1:7005 127.0.0.1:7006";
  assert.equal(args.join(" "), `--user alice --cluster-replicas 1 --tls --cluster-yes --cluster create ${addresses} --cacert ca.crt --key server.key --cert server.crt`);
});

test("a client's URI names the user as URIs write it, brackets an IPv6 address, and never holds a password", () => {
  assert.equal(clientUri("alice", { host: "127.0.0.1", port: 7379 }), "rediss://alice@127.0.0.1:7379");
  assert.equal(clientUri(undefined, { host: "fd00::1", port: 7379 }), "rediss://[fd00::1]:7379");
  const odd = new URL(clientUri("a:b@c/d", { host: "127.0.0.1", port: 7379 }));
  assert.deepEqual([decodeURIComponent(odd.username), odd.password, odd.host], ["a:b@c/d", "", "127.0.0.1:7379"]);
});
