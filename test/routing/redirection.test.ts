import assert from "node:assert/strict";
import { test } from "node:test";
import { mayRedirect, parseRedirection } from "../../proxy/routing/redirection.ts";

const later = (word: string): unknown => ({ kind: "later", word });

/** Error lines as Redis writes them, and what they ask for. */
const vectors: readonly (readonly [line: string, expected: unknown])[] = [
  ["-MOVED 3999 10.0.0.1:7001", { kind: "moved", slot: 3999, host: "10.0.0.1", port: 7001 }],
  ["-MOVED 3999 :7001", { kind: "moved", slot: 3999, host: "192.0.2.1", port: 7001 }],
  ["-MOVED 3999 ?:7001", { kind: "moved", slot: 3999, host: "192.0.2.1", port: 7001 }],
  ["-ASK 0 2001:db8::1:7001", { kind: "ask", slot: 0, host: "2001:db8::1", port: 7001 }],
  ["-TRYAGAIN Multiple keys request during rehashing of slot", later("TRYAGAIN")],
  ["-CLUSTERDOWN The cluster is down", later("CLUSTERDOWN")],
  ["-CLUSTERDOWN The cluster is down and only accepts read commands", later("CLUSTERDOWN")],
  ["-CLUSTERDOWN Hash slot not served", later("CLUSTERDOWN")],
  ["-LOADING Redis is loading the dataset in memory", later("LOADING")],
  ["-LOADING Valkey is loading the dataset in memory", later("LOADING")],
  ["-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", later("MASTERDOWN")],
  ["-READONLY You can't write against a read only replica.", later("READONLY")],
  ["-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", later("UNBLOCKED")],
];

for (const [line, expected] of vectors) {
  test(`${line} is what a cluster client must follow`, () => {
    assert.ok(mayRedirect(line.charCodeAt(1)));
    assert.deepEqual(parseRedirection(line, "192.0.2.1"), expected);
    assert.deepEqual(parseRedirection(`${line}\r\n`, "192.0.2.1"), expected);
  });
}

for (const line of [
  ...["-TRYAGAIN the order is locked", "-TRYAGAIN", "-CLUSTERDOWN", "-CLUSTERDOWN maintenance", "-LOADING", "-LOADING dock 4 is closed", "-READONLY account", "-MASTERDOWN", "-UNBLOCKED"],
  ...["-MOVED", "-MOVED to another shop", "-MOVED 16384 10.0.0.1:7001", "-MOVED -1 10.0.0.1:7001", "-MOVED 1 10.0.0.1", "-MOVED 1 10.0.0.1:0", "-MOVED 1 10.0.0.1:65536", "-ASK 1.5 a:1", "-ERR MOVED 1 a:1"],
]) {
  test(`${line} is an answer like others`, () => {
    assert.equal(parseRedirection(line, "192.0.2.1"), undefined);
  });
}
