import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkClusterDeclaration, defaultNodes, nodeName, parseNodeAddress } from "../../components/cluster-plan.ts";
import type { NodeAddress } from "../../components/cluster-plan.ts";
import { InvalidValueError } from "../../components/invalid-value-error.ts";

function nodes(count: number): NodeAddress[] {
  return Array.from({ length: count }, (_, index) => ({ host: "127.0.0.1", port: 7001 + index }));
}

test("six nodes with one replica each are three masters", () => {
  assert.equal(checkClusterDeclaration({ nodes: defaultNodes, replicasPerMaster: 1 }), 3);
  assert.deepEqual(defaultNodes.map(nodeName), ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003", "127.0.0.1:7004", "127.0.0.1:7005", "127.0.0.1:7006"]);
});

test("five nodes are refused, with what would be enough", () => {
  assert.throws(() => checkClusterDeclaration({ nodes: nodes(5), replicasPerMaster: 1 }), /nodes: 5 nodes are too few; expected at least 6/);
});

test("a replica count that does not fit is refused, with what would", () => {
  assert.throws(() => checkClusterDeclaration({ nodes: nodes(8), replicasPerMaster: 2 }), /nodes: 8 nodes are too few; expected at least 9/);
  assert.throws(() => checkClusterDeclaration({ nodes: nodes(10), replicasPerMaster: 2 }), /replicasPerMaster: 2 does not fit 10 nodes; expected a multiple of 3 nodes, such as 9 or 12/);
  for (const replicasPerMaster of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => checkClusterDeclaration({ nodes: nodes(6), replicasPerMaster }), /replicasPerMaster/);
  }
});

test("an address twice is refused by the place of the second", () => {
  assert.throws(() => checkClusterDeclaration({ nodes: [...nodes(5), nodes(1)[0]!], replicasPerMaster: 1 }), /nodes\[5\]: port 127\.0\.0\.1:7001 is already the port of nodes\[0\]/);
});

test("a port that is another node's bus port is refused", () => {
  assert.throws(
    () => checkClusterDeclaration({ nodes: [...nodes(5), { host: "127.0.0.1", port: 17002 }], replicasPerMaster: 1 }),
    /nodes\[1\]: cluster bus port 127\.0\.0\.1:17002 is already the port of nodes\[5\]/,
  );
});

test("names, addresses of no machine, and ports without room for the bus are refused", () => {
  for (const text of ["localhost:7001", "0.0.0.0:7001", "[::]:7001", "224.0.0.1:7001", "10.0.0.300:7001", "127.0.0.1:0", "127.0.0.1:55536", "127.0.0.1:70000", "127.0.0.1", "127.0.0.1:7001x", ":7001", "::1:7001", ""]) {
    assert.throws(() => parseNodeAddress("nodes[2]", text), (error) => error instanceof InvalidValueError && error.property === "nodes[2]", text);
  }
});

test("IPv4 and bracketed IPv6 addresses are read", () => {
  assert.deepEqual(parseNodeAddress("n", "10.0.0.1:55535"), { host: "10.0.0.1", port: 55535 });
  assert.deepEqual(parseNodeAddress("n", "[fd00::1]:7001"), { host: "fd00::1", port: 7001 });
});

test("whatever is accepted has distinct ports and buses and at least three masters with the same number of replicas", () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(fc.array(port, { maxLength: 20 }), fc.integer({ min: 0, max: 4 }), (ports, replicasPerMaster) => {
      const declared = ports.map((value) => ({ host: "127.0.0.1", port: value }));
      let masters: number;
      try {
        masters = checkClusterDeclaration({ nodes: declared, replicasPerMaster });
      } catch (error) {
        assert.ok(error instanceof InvalidValueError);
        return;
      }
      assert.ok(masters >= 3);
      assert.equal(masters * (replicasPerMaster + 1), ports.length);
      assert.equal(new Set(ports.flatMap((value) => [value, value + 10_000])).size, ports.length * 2);
    }),
  );
});
