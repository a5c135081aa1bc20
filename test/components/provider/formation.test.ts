import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeName } from "../../../components/cluster-plan.ts";
import { formCluster } from "../../../components/provider/formation.ts";
import type { FormationPorts } from "../../../components/provider/formation.ts";
import { ownMember } from "../../../components/formation-plan.ts";
import type { NodeView } from "../../../components/formation-plan.ts";
import { slotsIn } from "../../../components/slot-ranges.ts";
import type { TopologyDeclaration } from "../../../components/topology.ts";
import { addressOn, SimulatedCluster } from "../support/simulated-cluster.ts";

/** The second and the third shard's replicas have each other's place: the second one's is on its master's host. */
const hosts = [1, 2, 3, 3, 2, 1];
const nodes = hosts.map((_, index) => addressOn(hosts, index));

/** Forms a cluster on these hosts, and says what it was told; `refuse` is answered with an error. */
async function form(formed: TopologyDeclaration | undefined, refuse = "", limitMs = 10_000): Promise<{ calls: string[]; error: unknown }> {
  const cluster = new SimulatedCluster(3, 1, (bound) => bound - 1, hosts);
  const calls: string[] = [];
  let looks = 0;
  let seen = cluster.look();
  const ports: FormationPorts = {
    // A look is at all nodes at once.
    observe: (node) => {
      if (looks++ % nodes.length === 0) seen = cluster.look();
      return Promise.resolve(seen.find((view) => nodeName(view.node) === nodeName(node))!);
    },
    memory: () => Promise.reject(new Error("nobody asks")),
    copied: () => Promise.resolve(0),
    call: (node, command) => {
      const words = command.join(" ");
      calls.push(`${node.port} ${words}`);
      if (refuse !== "" && words.startsWith(refuse)) return Promise.reject(new Error("NOPERM"));
      if (words.endsWith("barrier 1")) assert.ok(seen.every(({ inSync }) => inSync));
      if (words.startsWith("CONFIG GET")) return Promise.resolve([command[2], "1"]);
      const master = seen.find(({ id }) => id === command[2]);
      if (master !== undefined) cluster.turn({ kind: "replicate", replica: seen.find((view) => view.node === node)!, master });
      return Promise.resolve("OK");
    },
    createCluster: () => Promise.reject(new Error("there is one")),
    now: () => looks * 100,
    pause: () => Promise.resolve(),
  };
  const task = { nodes, masters: 3, limitMs, graceMs: 5000, login: { user: "", password: "" }, ...(formed !== undefined && { formed }) };
  const error = await formCluster(task, ports).then(() => undefined, (reason: unknown) => reason);
  return { calls: calls.map((call) => call.replace(/[0-9a-f]{40}/, (id) => String(cluster.look().find((view) => view.id === id)?.node.port))), error };
}

const exchange = [
  ...[7005, 7004].flatMap((port) => [`${port} CONFIG GET cluster-migration-barrier`, `${port} CONFIG SET cluster-migration-barrier 1000`]),
  "7005 CLUSTER REPLICATE 7001",
  "7004 CLUSTER REPLICATE 7002",
  ...[7005, 7004].map((port) => `${port} CONFIG SET cluster-migration-barrier 1`),
];

test("two replicas that change places are kept from migrating by themselves until both have copied, in a cluster that was formed and in one that is new", async () => {
  assert.deepEqual(await form({ replicasPerMaster: 1, layout: undefined }), { calls: exchange, error: undefined });
  assert.deepEqual(await form(undefined), { calls: exchange, error: undefined });
});

test("each copy has the time allowed for itself", async () => {
  // A look takes 600 ms, and the exchange five of them.
  assert.deepEqual(await form({ replicasPerMaster: 1, layout: undefined }, "", 1500), { calls: exchange, error: undefined });
});

test("they are let go where the exchange comes to no end", async () => {
  const { calls, error } = await form({ replicasPerMaster: 1, layout: undefined }, "CLUSTER REPLICATE");
  assert.match(String(error), /after 10 s still: exchange: NOPERM/);
  assert.deepEqual(calls.slice(-2), exchange.slice(-2));
  assert.equal(calls.filter((call) => call.includes("CONFIG GET")).length, 2);
});

test("a copy may take as long as it gets on, and ends it where it does not", async () => {
  const cluster = new SimulatedCluster(3, 1, (bound) => bound - 1);
  const whole = cluster.look();
  const copying = whole.map((view) => (view === whole.at(-1) ? { ...view, inSync: false } : view));
  const formWhile = async (copied: (ms: number) => number): Promise<number> => {
    let ms = 0;
    const ports: FormationPorts = {
      observe: (node) => Promise.resolve((copied(ms) === 5_000 ? whole : copying).find((view) => nodeName(view.node) === nodeName(node))!),
      memory: () => Promise.reject(new Error("nobody asks")),
      copied: (node) => (nodeName(node) === nodeName(whole.at(-1)!.node) ? Promise.resolve(copied(ms)) : Promise.reject(new Error("LOADING"))),
      call: () => Promise.resolve("OK"),
      createCluster: () => Promise.reject(new Error("there is one")),
      now: () => ms,
      pause: () => {
        ms += 100;
        return Promise.resolve();
      },
    };
    await formCluster({ nodes: whole.map(({ node }) => node), masters: 3, limitMs: 1_000, graceMs: 500, login: { user: "", password: "" } }, ports);
    return ms;
  };
  assert.equal(await formWhile((ms) => Math.floor(ms / 2)), 10_000);
  await assert.rejects(formWhile((ms) => Math.min(ms, 3_000)), /after 1 s still: .*7006/);
  await assert.rejects(formWhile((ms) => ms % 1_700), /after 1 s still: .*7006/);
});

test("a slot that has gone to a replica which was made a master of its own comes back, and the replica to its place", async () => {
  const cluster = new SimulatedCluster(3, 1, (bound) => bound - 1);
  const even = cluster.look();
  const [owner, replica] = [even[0]!, even.find((view) => ownMember(view).masterId === even[0]!.id)!];
  const strayed = { [owner.id]: [[1, 5460]], [replica.id]: [[0, 0]] } as const;
  const changed = (view: NodeView): NodeView => ({ ...view, members: view.members.map((member) => {
    const ranges = strayed[member.id] ?? member.ranges;
    return { ...member, ranges, slots: slotsIn(ranges).length, ...(member.id === replica.id && { isMaster: true, masterId: undefined }) };
  }) });
  let state: "strayed" | "back" | "replica" = "strayed";
  const calls: string[] = [];
  const ports: FormationPorts = {
    observe: (node) => {
      const view = even.find((seen) => nodeName(seen.node) === nodeName(node))!;
      const slotless = { ...view, members: view.members.map((member) => (member.id === replica.id ? { ...member, isMaster: true, masterId: undefined } : member)) };
      return Promise.resolve({ ...(state === "strayed" ? changed(view) : state === "back" ? slotless : view), keys: 1 });
    },
    memory: () => Promise.reject(new Error("nobody asks")),
    copied: () => Promise.resolve(0),
    call: (node, [command, ...args]) => {
      const words = [command, ...args].join(" ");
      if (words === `CLUSTER SETSLOT 0 NODE ${owner.id}` && nodeName(node) === nodeName(owner.node)) state = "back";
      if (words === `CLUSTER REPLICATE ${owner.id}` && nodeName(node) === nodeName(replica.node)) state = "replica";
      if (!/^ACL|GETKEYSINSLOT|COUNTKEYSINSLOT/.test(words)) calls.push(words.replace(/[0-9a-f]{40}/, (id) => (id === owner.id ? "owner" : "replica")));
      return Promise.resolve(/^ACL LIST|GETKEYSINSLOT/.test(words) ? [] : "OK");
    },
    createCluster: () => Promise.reject(new Error("there is one")),
    now: () => 0,
    pause: () => Promise.resolve(),
  };
  await formCluster({ nodes: even.map(({ node }) => node), masters: 3, limitMs: 10_000, graceMs: 5000, login: { user: "", password: "" }, formed: { replicasPerMaster: 1, layout: cluster.layout() } }, ports);
  assert.equal(state, "replica");
  assert.deepEqual([calls[0], calls.at(-1)], ["CLUSTER SETSLOT 0 IMPORTING replica", "CLUSTER REPLICATE owner"]);
});
