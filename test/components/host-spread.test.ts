import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ownMember } from "../../components/formation-plan.ts";
import type { NodeView } from "../../components/formation-plan.ts";
import { planExchanges, sharing } from "../../components/host-spread.ts";
import type { Shard } from "../../components/host-spread.ts";
import { compareTopology, layoutOf, placeReplicas } from "../../components/topology.ts";
import { SimulatedCluster } from "./support/simulated-cluster.ts";

/** Shards by the last numbers of their nodes' addresses, each master first. */
function shardsOn(hosts: readonly (readonly number[])[]): Shard[] {
  let port = 7000;
  const nodeOn = (host: number): NodeView => ({ node: { host: `127.0.0.${host}`, port: ++port }, id: String(port), keys: 0, clusterOk: true, inSync: true, members: [] });
  return hosts.map(([master, ...replicas]) => ({ master: nodeOn(master!), replicas: replicas.map(nodeOn) }));
}

const all = ({ master, replicas }: Shard): NodeView[] => [master, ...replicas];

function pairs(shards: readonly Shard[]): number {
  return shards.reduce((sum, shard) => sum + all(shard).reduce((own, view) => own + sharing(view, all(shard)), 0), 0) / 2;
}

/** Nodes of each host that each shard has, as little apart as they can be. */
function isEven(shards: readonly Shard[]): boolean {
  const hosts = new Set(shards.flatMap(all).map(({ node }) => node.host));
  return [...hosts].every((host) => {
    const counts = shards.map((shard) => all(shard).filter(({ node }) => node.host === host).length);
    return Math.max(...counts) - Math.min(...counts) <= 1;
  });
}

function apply(shards: readonly Shard[], { replica, partner }: { readonly replica: NodeView; readonly partner: NodeView }): Shard[] {
  const other = new Map([[replica, partner], [partner, replica]]);
  return shards.map(({ master, replicas }) => ({ master, replicas: replicas.map((view) => other.get(view) ?? view) }));
}

test("nothing is exchanged where the hosts allow no better", () => {
  const layouts = [
    [[1, 1], [1, 1], [1, 1]],
    [[1, 2], [2, 1], [1, 2]],
    [[1, 2], [2, 3], [3, 1]],
    // Four of the six on one host: one shard has to have two of them.
    [[1, 1], [1, 2], [1, 3]],
    [[1, 1], [1, 1], [2, 1]],
    [[1, 1, 2], [1, 2, 2], [2, 1, 1]],
  ];
  for (const hosts of layouts) assert.deepEqual(planExchanges(shardsOn(hosts)), [], JSON.stringify(hosts));
});

test("two replicas change places where a master and its replica share a host and need not", () => {
  const cases: [number[][], number][] = [
    [[[1, 1], [2, 2], [3, 4]], 1],
    [[[1, 1], [2, 3], [2, 3]], 1],
    // With four of six nodes on a host, one shard of two is too many.
    [[[1, 1], [1, 1], [2, 3]], 1],
    [[[1, 1], [2, 2], [3, 3]], 2],
    [[[1, 1, 1], [2, 2, 2], [3, 3, 3]], 3],
  ];
  for (const [hosts, count] of cases) assert.equal(planExchanges(shardsOn(hosts)).length, count, JSON.stringify(hosts));
});

const layouts = fc.record({ masters: fc.integer({ min: 1, max: 7 }), replicas: fc.integer({ min: 1, max: 4 }), hosts: fc.integer({ min: 1, max: 6 }), seed: fc.array(fc.nat(), { minLength: 35, maxLength: 35 }) })
  .map(({ masters, replicas, hosts, seed }) => Array.from({ length: masters }, (_, shard) => Array.from({ length: replicas + 1 }, (__, place) => 1 + (Math.min(seed[shard * 5 + place]! % 7, seed[shard] ?? 0) % hosts))));

test("whatever the hosts, each exchange is for the better, the last one leaves them spread evenly, and roles make no difference", () => {
  fc.assert(
    fc.property(layouts, (hosts) => {
      let shards = shardsOn(hosts);
      const exchanges = planExchanges(shards);
      assert.equal(exchanges.length === 0, isEven(shards));
      for (const exchange of exchanges) {
        const next = apply(shards, exchange);
        assert.ok(pairs(next) < pairs(shards));
        assert.ok(next.some(({ master, replicas }) => master === exchange.to && replicas.includes(exchange.replica)));
        shards = next;
      }
      assert.ok(isEven(shards));
      const failedOver = shardsOn(hosts).map(({ master, replicas: [heir, ...others] }) => ({ master: heir!, replicas: [...others, master] }));
      assert.equal(planExchanges(failedOver).length === 0, exchanges.length === 0);
    }),
    { numRuns: 2000 },
  );
});

test("a cluster on any hosts is mended one copy at a time, and then quiet; no master is without a replica in sync that had one to spare", () => {
  const shapes = fc.record({ masters: fc.integer({ min: 3, max: 5 }), replicas: fc.integer({ min: 1, max: 3 }), hosts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 11 }) });
  fc.assert(
    fc.property(shapes, ({ masters, replicas, hosts }) => {
      const cluster = new SimulatedCluster(masters, replicas, (bound) => bound - 1, hosts);
      const declared = { replicasPerMaster: replicas, layout: layoutOf(cluster.look()) };
      const synced = (views: readonly NodeView[]): number[] => views.filter((view) => ownMember(view).slots > 0).map(({ id }) => views.filter((view) => view.inSync && ownMember(view).masterId === id).length);
      let copies = 0;
      for (let looks = 0; ; looks++) {
        assert.ok(looks < 1000, "no end");
        const views = cluster.look();
        const behind = views.filter(({ inSync }) => !inSync);
        assert.ok(behind.length <= 1);
        const inSync = synced(views);
        assert.ok(inSync.filter((count) => count < Math.min(2, replicas)).length <= 1 && inSync.every((count) => count >= replicas - 1), inSync.join());
        const { findings, steps } = compareTopology(views, new Map(), declared);
        if (findings.length === 0) break;
        assert.ok(steps.length <= 1);
        // Half way, the one that gives a replica away keeps it until the other has come.
        if (behind.length > 0) assert.deepEqual(steps, []);
        for (const step of steps) cluster.turn(step);
        copies += steps.length;
      }
      assert.equal(copies % 2, 0);
      assert.deepEqual(placeReplicas(cluster.look(), replicas), []);
      const before = new SimulatedCluster(masters, replicas, (bound) => bound - 1, hosts).look();
      const shards = before.filter((view) => ownMember(view).slots > 0).map((master) => ({ master, replicas: before.filter((view) => ownMember(view).masterId === master.id) }));
      assert.equal(copies, planExchanges(shards).length * 2);
    }),
    { numRuns: 40 },
  );
});

test("a replica on its master's host is told by both, and its place is not, where another one waits for its copy", () => {
  const cluster = new SimulatedCluster(3, 1, (bound) => bound - 1, [1, 2, 3, 1, 3, 2]);
  const declared = { replicasPerMaster: 1, layout: undefined };
  const { findings, lasting, steps } = compareTopology(cluster.look(), new Map(), declared);
  assert.deepEqual(findings, [{ thing: "replica 127.0.0.1:7004", declared: "on another host than its master 127.0.0.1:7001", actual: "on the same one, 127.0.0.1", mend: "cluster" }]);
  assert.deepEqual([lasting, steps.map((step) => step.kind === "exchange" && [step.replica.node.port, step.to.node.port, step.partner.node.port])], [true, [[7004, 7002, 7005]]]);
  assert.deepEqual(compareTopology(cluster.look().map((view) => ({ ...view, inSync: view.node.port !== 7006 })), new Map(), declared).steps, []);
  assert.deepEqual(compareTopology(cluster.look().slice(1), new Map([["127.0.0.1:7001", "connect ECONNREFUSED"]]), declared).findings.map(({ thing }) => thing), ["member 127.0.0.1:7001"]);
});
