import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterReplyError, parseClusterNodes, parseInfo } from "../../components/cluster-nodes.ts";
import type { NodeAddress } from "../../components/cluster-plan.ts";
import { nodeName } from "../../components/cluster-plan.ts";
import { planFormation, slotCount } from "../../components/formation-plan.ts";
import type { MemberView, NodeView } from "../../components/formation-plan.ts";

const masters = 3;
const slotsOf = [5461, 5462, 5461];

function address(index: number): NodeAddress {
  return { host: "127.0.0.1", port: 7001 + index };
}

function id(index: number): string {
  return String(index).repeat(40);
}

function member(index: number, change: Partial<MemberView> = {}): MemberView {
  const isMaster = index < masters;
  return {
    id: id(index),
    address: nodeName(address(index)),
    isMaster,
    masterId: isMaster ? undefined : id(index - masters),
    failed: false,
    handshaking: false,
    slots: slotsOf[index] ?? 0,
    ranges: [],
    open: [],
    ...change,
  };
}

const allMembers = [0, 1, 2, 3, 4, 5].map((index) => member(index));

function formed(change: (index: number) => Partial<NodeView> = () => ({}), members: readonly MemberView[] = allMembers): NodeView[] {
  return [0, 1, 2, 3, 4, 5].map((index) => ({ node: address(index), id: id(index), keys: 0, clusterOk: true, inSync: true, members, ...change(index) }));
}

function alone(index: number, change: Partial<MemberView> = {}): Partial<NodeView> {
  return { members: [member(index, { isMaster: true, masterId: undefined, slots: 0, ...change })], clusterOk: false };
}

test("a formed cluster is adopted, with keys or without, and whoever is master now", () => {
  assert.deepEqual(planFormation(formed(), masters), { kind: "adopt" });
  assert.deepEqual(planFormation(formed(() => ({ keys: 7 })), masters), { kind: "adopt" });
  const failedOver = allMembers.map((view, index) => {
    if (index === 0) return { ...view, isMaster: false, masterId: id(3), slots: 0 };
    return index === 3 ? { ...view, isMaster: true, masterId: undefined, slots: slotsOf[0]! } : view;
  });
  assert.deepEqual(planFormation(formed(undefined, failedOver), masters), { kind: "adopt" });
});

test("nodes that are alone and empty are made a cluster", () => {
  assert.deepEqual(planFormation(formed((index) => alone(index)), masters), { kind: "create" });
});

test("a lonely node with keys is refused by name, whatever the others are", () => {
  const plan = planFormation(formed((index) => ({ ...alone(index), keys: index === 4 ? 1 : 0 })), masters);
  assert.ok(plan.kind === "refuse" && /127\.0\.0\.1:7005 holds 1 key\(s\) and 0 slot\(s\), but is in no cluster; empty it/.test(plan.reason));
});

test("a creation interrupted after the slots, or between introductions, is started over", () => {
  assert.deepEqual(planFormation(formed((index) => alone(index, { slots: index === 0 ? 5461 : 0 })), masters), { kind: "start-over" });
  const pair = [member(0), member(1)];
  assert.deepEqual(planFormation(formed((index) => (index < 2 ? { members: pair } : alone(index, { slots: slotsOf[index] ?? 0 }))), masters), { kind: "start-over" });
});

test("the same state with a single key anywhere is refused, not started over", () => {
  const pair = [member(0), member(1)];
  const plan = planFormation(formed((index) => (index < 2 ? { members: pair, keys: 1 } : alone(index, { slots: slotsOf[index] ?? 0 }))), masters);
  assert.ok(plan.kind === "refuse" && /127\.0\.0\.1:7003 holds 0 key\(s\) and 5461 slot\(s\), but is not in the cluster of 127\.0\.0\.1:7001, 127\.0\.0\.1:7002; empty it/.test(plan.reason));
});

test("a creation interrupted before the replicas were assigned is completed", () => {
  const sixMasters = allMembers.map((view) => ({ ...view, isMaster: true, masterId: undefined }));
  assert.deepEqual(planFormation(formed(undefined, sixMasters), masters), {
    kind: "replace",
    introduce: [],
    replicate: [3, 4, 5].map((index) => ({ node: address(index), id: id(index), masterId: id(index - masters) })),
    forget: [],
  });
});

test("it is completed with replicas on other hosts than their masters", () => {
  const hosts = [1, 2, 3, 1, 3, 2];
  const place = (index: number): NodeAddress => ({ host: `127.0.0.${hosts[index]!}`, port: 7001 + index });
  const sixMasters = allMembers.map((view, index) => ({ ...view, address: nodeName(place(index)), isMaster: true, masterId: undefined }));
  const plan = planFormation(formed((index) => ({ node: place(index) }), sixMasters), masters);
  assert.deepEqual(plan.kind === "replace" && plan.replicate.map(({ id: replica, masterId }) => [replica, masterId]), [[id(3), id(1)], [id(4), id(0)], [id(5), id(2)]]);
});

test("a member that is not declared is refused, by the addresses of both", () => {
  const stranger = { ...member(5), id: "f".repeat(40), address: "10.0.0.9:7001" };
  const plan = planFormation(formed(undefined, [...allMembers, stranger]), masters);
  assert.ok(plan.kind === "refuse");
  assert.equal(plan.reason, `127.0.0.1:7001 is in a cluster with 10.0.0.9:7001, which is not declared; take that one out (redis-cli --cluster del-node 127.0.0.1:7001 ${stranger.id}), or declare nodes that are in no other cluster`);
});

test("another number of masters than declared is refused with keys, and started over without", () => {
  const four = allMembers.map((view, index) => (index === 2 ? { ...view, slots: 5000 } : index === 5 ? { ...view, isMaster: true, masterId: undefined, slots: 461 } : view));
  assert.deepEqual(planFormation(formed(undefined, four), masters), { kind: "start-over", spread: true });
  const plan = planFormation(formed(() => ({ keys: 1 }), four), masters);
  assert.ok(plan.kind === "refuse" && /4 masters, .*127\.0\.0\.1:7006 \(461\); 3 are declared/.test(plan.reason));
});

const newborn = "e".repeat(40);

function withLostNode(index: number, former: Partial<MemberView>): NodeView[] {
  const remembered = allMembers.map((view, place) => (place === index ? { ...view, ...former } : view));
  return formed((place) => {
    if (place !== index) return { keys: 5 };
    return { id: newborn, members: [{ ...member(index), id: newborn, isMaster: true, masterId: undefined, slots: 0 }], clusterOk: false };
  }, remembered);
}

test("a replica that lost its data is introduced again and its former id forgotten, with its address known or lost", () => {
  for (const former of [{ failed: true }, { failed: true, address: "" }]) {
    assert.deepEqual(planFormation(withLostNode(4, former), masters), { kind: "replace", introduce: [address(4)], replicate: [], forget: [id(4)] });
  }
});

test("once introduced it becomes the replica of the master that has none", () => {
  const joinedAgain = [...allMembers.filter((_, index) => index !== 4), { ...member(4), id: newborn, isMaster: true, masterId: undefined }];
  const views = formed((index) => ({ keys: 5, ...(index === 4 ? { id: newborn } : {}) }), joinedAgain);
  assert.deepEqual(planFormation(views, masters), {
    kind: "replace",
    introduce: [],
    replicate: [{ node: address(4), id: newborn, masterId: id(1) }],
    forget: [],
  });
});

test("a master that lost its data is waited for until its replica has taken over", () => {
  const plan = planFormation(withLostNode(1, { failed: true }), masters);
  assert.ok(plan.kind === "wait" && plan.ifItLasts === "give-up" && /no replica has taken over its 5462 slots/.test(plan.reason));
});

test("a master that lost its data, and whose address answers under its new id, is followed by its replica on demand", () => {
  assert.deepEqual(planFormation(withLostNode(1, { address: "" }), masters), { kind: "fail-over", replica: address(4) });
  // Once it is agreed to be failed, Redis sees to it.
  assert.equal(planFormation(withLostNode(1, { address: "", failed: true }), masters).kind, "wait");
});

test("handshakes, open slots and a state that is not ok are waited for", () => {
  const shaking = [...allMembers, { ...member(0), id: "a".repeat(40), handshaking: true }];
  const cases: NodeView[][] = [
    formed(undefined, shaking),
    formed(undefined, allMembers.map((view, index) => (index === 0 ? { ...view, slots: view.slots - 1 } : view))),
    formed((index) => ({ clusterOk: index !== 3 })),
    formed((index) => ({ inSync: index !== 4 })),
    formed((index) => (index < 3 ? { members: allMembers.slice(0, 3) } : { members: allMembers.slice(3) })),
  ];
  for (const views of cases) {
    const plan = planFormation(views, masters);
    assert.ok(plan.kind === "wait" && plan.ifItLasts === "start-over", JSON.stringify(plan));
  }
});

test("CLUSTER NODES as Redis 7 writes it is read: roles, slots, moving slots, lost addresses", () => {
  const text = [
    `${id(1)} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-5460 6000 [5460->-${id(2)}]`,
    `${id(2)} 127.0.0.1:7002@17002,node.example slave ${id(1)} 0 1 1 connected`,
    `${id(3)} :0@0 master,fail,noaddr - 1 1 3 disconnected 5461-5999 6001-16383`,
    `${id(4)} fd00::1:7004@17004 handshake - 0 0 0 disconnected`,
    "",
  ].join("\n");
  const members = parseClusterNodes(text);
  assert.deepEqual(members.map(({ address: place }) => place), ["127.0.0.1:7001", "127.0.0.1:7002", "", "fd00::1:7004"]);
  assert.deepEqual(members.map(({ slots }) => slots), [5462, 0, slotCount - 5462, 0]);
  assert.deepEqual(members.map(({ masterId }) => masterId), [undefined, id(1), undefined, undefined]);
  assert.deepEqual(members.map(({ failed, handshaking }) => [failed, handshaking]), [[false, false], [false, false], [true, false], [false, true]]);
});

test("an answer that is not CLUSTER NODES is refused", () => {
  for (const text of ["", "\n", "OK", "ERR no", `${id(1)} 127.0.0.1:7001@17001 master - 0 0 1 connected x-y`]) {
    assert.throws(() => parseClusterNodes(text), ClusterReplyError);
  }
});

test("INFO's fields are read past its headings", () => {
  const info = parseInfo("# Replication\r\nrole:slave\r\nmaster_link_status:up\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n");
  assert.deepEqual([...info], [["role", "slave"], ["master_link_status", "up"], ["db0", "keys=1,expires=0"]]);
});
