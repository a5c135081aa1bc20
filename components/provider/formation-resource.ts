import { access } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { parseInfo } from "../cluster-nodes.ts";
import type { ClusterDeclaration, NodeAddress } from "../cluster-plan.ts";
import { checkClusterDeclaration, distinctNodes, nodeName } from "../cluster-plan.ts";
import type { Finding } from "../drift.ts";
import type { NodeView } from "../formation-plan.ts";
import { InvalidValueError } from "../invalid-value-error.ts";
import { integer, list, object, optional, path, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import type { ScaleGoal } from "../scale-plan.ts";
import { readMemory } from "../slot-room.ts";
import { layoutOf } from "../topology.ts";
import type { TopologyDeclaration } from "../topology.ts";
import { readClusterRecord, removeClusterRecord, writeClusterRecord } from "./cluster-record.ts";
import type { ClusterRecord } from "./cluster-record.ts";
import { formCluster, observeEach } from "./formation.ts";
import type { FormationPorts } from "./formation.ts";
import { lookAmidScaling, lookAtFormed } from "./formation-look.ts";
import type { Seen } from "./formation-look.ts";
import { withNode } from "./node-client.ts";
import type { NodeAccess } from "./node-client.ts";
import { NodeConnections } from "./node-connections.ts";
import { observeNode, readCopied } from "./observe.ts";
import { createCluster, endAbandonedCreation } from "./redis-cli.ts";
import type { CheckFailure, KnownInputs, ResourceType } from "./resource-type.ts";
import { foretellScale, scaleCluster } from "./scale.ts";
import type { Values } from "./wire.ts";

const pauseMs = 200;
const graceMs = 15_000;
const creationLimitMs = 60_000;
/** For one command: a node may hand over large keys for as long. */
const commandLimitMs = 65_000;

const address = object({ host: text, port: integer(1, 65_535) });

const fields = {
  nodes: list(address),
  /** Nodes that were declared before; as far as they are members, they are to leave. */
  former: withDefault(list(address), []),
  /** Of the nodes' processes. A node that was started anew may have lost its place, which no look before the start can tell. */
  memberPids: withDefault(list(integer(0, 4_194_304)), []),
  replicasPerMaster: withDefault(integer(1, 100), 1),
  caFile: path,
  certFile: path,
  keyFile: path,
  pem: optional(object({ ca: text, cert: text, key: text })),
  user: text,
  password: text,
  redisCli: withDefault(path, "/usr/bin/redis-cli"),
  /** Where a running redis-cli is recorded. */
  recordFile: path,
  /** Where it is written down that the cluster is formed, and what it is on its way to. States of older versions do not have it. */
  clusterFile: optional(path),
  limitSeconds: withDefault(integer(10, 3600), 180),
};

type Inputs = Parsed<typeof fields>;

/** Nodes joined to one cluster as declared. Removing it only forgets that there is one: the cluster goes with its nodes. */
export const formationResource: ResourceType<typeof fields> = {
  fields,
  leftOut: ["password", "pem"],
  notCompared: ["caFile", "certFile", "keyFile", "user", "redisCli", "recordFile", "limitSeconds"],
  replaceOn: [],
  outputs: ["nodeIds", "layout"],
  secretOutputs: [],
  expectations: ["drift"],
  expectedFrom: [],
  expect: () => ({ drift: [] }),
  preflight,
  identify: (inputs) => inputs.nodes.map(nodeName).join(","),
  create: (inputs) => withPorts(inputs, async (ports) => form(inputs, undefined, ports)),
  update: (inputs, state, report) => withPorts(inputs, async (ports) => {
    const goal = goalOf(inputs, state);
    const scaled = await isToScale(goal, state, inputs.clusterFile, ports);
    if (scaled) {
      // A run that is killed leaves its state as it was before; the next look must know what was begun.
      const begin = async (): Promise<void> => {
        if (inputs.clusterFile !== undefined) await writeClusterRecord(inputs.clusterFile, nodesIn(state), inputs);
      };
      await scaleCluster({ goal, limitMs: inputs.limitSeconds * 1000, graceMs, login: inputs, begin }, ports, report);
    }
    return form(inputs, { replicasPerMaster: inputs.replicasPerMaster, layout: scaled ? undefined : goal.layout }, ports);
  }),
  async foretell({ known }, state, report) {
    const { nodes, former, replicasPerMaster, clusterFile, caFile, certFile, keyFile, user, password } = known;
    if (nodes === undefined || former === undefined || replicasPerMaster === undefined || caFile === undefined || certFile === undefined || keyFile === undefined || user === undefined || password === undefined) return;
    const ports = observerOf({ caFile, certFile, keyFile, pem: known.pem, user, password });
    const goal = goalOf({ nodes, former, replicasPerMaster }, state);
    if (!(await isToScale(goal, state, clusterFile, ports))) return;
    const before = new Set(nodesIn(state).map(nodeName));
    await foretellScale(goal, (node) => !before.has(nodeName(node)), ports, report);
  },
  async read(inputs, state) {
    const { views, findings } = await look(inputs, state);
    // Ids are known of all nodes or of none; those of a node that does not answer have not changed by that.
    return { drift: findings, layout: layoutIn(state), nodeIds: views.length === inputs.nodes.length ? idsOf(views) : state["nodeIds"] };
  },
  async delete({ clusterFile }) {
    if (clusterFile !== undefined) await removeClusterRecord(clusterFile);
  },
};

function layoutIn(state: Values): readonly string[] | undefined {
  const layout = state["layout"];
  return Array.isArray(layout) ? (layout as readonly string[]) : undefined;
}

/** What a drift check sees: a cluster as it was formed, or one whose scaling was cut off. */
async function look(inputs: Inputs, state: Values): Promise<Seen> {
  const ports = observerOf(inputs);
  const { clusterFile } = inputs;
  const record = clusterFile === undefined ? undefined : await readClusterRecord(clusterFile);
  if (record?.scaling !== undefined) {
    return lookAmidScaling(inputs.nodes, goalOf(record.scaling, state), record.scaling.since, ports);
  }
  const seen = await lookAtFormed(inputs.nodes, { replicasPerMaster: inputs.replicasPerMaster, layout: layoutIn(state) }, ports);
  const problem = clusterFile === undefined ? undefined : describeRecord(inputs.nodes, record);
  return problem === undefined ? seen : { ...seen, findings: [{ thing: basename(clusterFile!), mend: "write", ...problem }, ...seen.findings] };
}

/** What is wrong with what is written down of a cluster that no scaling was begun of; undefined if nothing is. */
function describeRecord(declared: readonly NodeAddress[], record: ClusterRecord | undefined): Pick<Finding, "declared" | "actual"> | undefined {
  if (record === undefined) return { declared: "there", actual: "missing, or cannot be read" };
  const [wanted, written] = [declared, record.nodes].map((nodes) => nodes.map(nodeName).sort().join(", ")) as [string, string];
  return wanted === written ? undefined : { declared: `of ${wanted}`, actual: `of ${written}` };
}

async function preflight({ known }: KnownInputs<typeof fields>): Promise<readonly CheckFailure[]> {
  const { nodes, replicasPerMaster, redisCli } = known;
  if (nodes !== undefined && replicasPerMaster !== undefined) {
    const problem = describeDeclaration({ nodes, replicasPerMaster });
    if (problem !== undefined) return [{ property: "nodes", reason: problem }];
  }
  const missing = redisCli !== undefined && (await access(redisCli).then(() => false, () => true));
  return missing ? [{ property: "redisCli", reason: `${redisCli} is not there; install the package redis-tools` }] : [];
}

function describeDeclaration(declared: ClusterDeclaration): string | undefined {
  try {
    checkClusterDeclaration(declared);
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    return error.message;
  }
}

function nodesIn(state: Values): readonly NodeAddress[] {
  const nodes = state["nodes"];
  return Array.isArray(nodes) ? (nodes as readonly NodeAddress[]) : [];
}

/** What the cluster is to become. Those that leave are remembered by the state of the last formation too, until this one has come to its end. */
function goalOf(inputs: Pick<Inputs, "nodes" | "former" | "replicasPerMaster">, state: Values): ScaleGoal {
  const { nodes, former, replicasPerMaster } = inputs;
  const declared = new Set(nodes.map(nodeName));
  const leaving = distinctNodes([...former, ...nodesIn(state)]).filter((node) => !declared.has(nodeName(node)));
  return { nodes, masters: checkClusterDeclaration(inputs), replicasPerMaster, leaving, layout: layoutIn(state) };
}

/** Whether the cluster is to be another than it was formed to be, a scaling of it was cut off, or a node that was to leave it has not. */
async function isToScale({ nodes, masters, replicasPerMaster, leaving, layout }: ScaleGoal, state: Values, clusterFile: string | undefined, ports: Pick<FormationPorts, "observe">): Promise<boolean> {
  const names = (all: readonly NodeAddress[]): string[] => all.map(nodeName).sort();
  if (!isDeepStrictEqual([names(nodes), replicasPerMaster], [names(nodesIn(state)), state["replicasPerMaster"]])) return true;
  if (layout !== undefined && layout.length !== masters) return true;
  if (clusterFile !== undefined && (await readClusterRecord(clusterFile))?.scaling !== undefined) return true;
  if (leaving.length === 0) return false;
  const { views } = await observeEach([...nodes, ...leaving], ports);
  const left = new Set(leaving.map(nodeName));
  return views.some(({ node, members }) => (left.has(nodeName(node)) ? members.length > 1 : members.some(({ address: at }) => left.has(at))));
}

async function form(inputs: Inputs, formed: TopologyDeclaration | undefined, ports: FormationPorts): Promise<Record<string, unknown>> {
  await endAbandonedCreation(inputs.recordFile);
  const { nodes, user, password } = inputs;
  const task = { nodes, masters: checkClusterDeclaration(inputs), limitMs: inputs.limitSeconds * 1000, graceMs, login: { user, password }, ...(formed !== undefined && { formed }) };
  const views = await formCluster(task, ports);
  if (inputs.clusterFile !== undefined) await writeClusterRecord(inputs.clusterFile, nodes);
  return { drift: [], layout: formed?.layout ?? layoutOf(views), nodeIds: idsOf(views) };
}

function idsOf(views: readonly NodeView[]): string[] {
  return views.map((view) => view.id);
}

function observerOf(access: Omit<NodeAccess, "host" | "port">): Pick<FormationPorts, "observe" | "memory" | "copied"> {
  // Each look by a connection of its own: it shows that the node lets one in.
  return {
    observe: (node) => withNode({ ...access, ...node }, (call) => observeNode(node, call)),
    memory: (node) => withNode({ ...access, ...node }, async (call) => readMemory(parseInfo(String(await call("INFO", "memory"))))),
    copied: (node) => withNode({ ...access, ...node }, readCopied),
  };
}

async function withPorts<T>(inputs: Inputs, use: (ports: FormationPorts) => Promise<T>): Promise<T> {
  const connections = new NodeConnections(({ host, port }) => ({ ...inputs, host, port }), commandLimitMs);
  try {
    return await use({
      ...observerOf(inputs),
      call: (node, command) => connections.call(node, command),
      createCluster: () => createCluster({ ...inputs, limitMs: creationLimitMs }),
      now: () => performance.now(),
      pause: () => delay(pauseMs),
    });
  } finally {
    await connections.close();
  }
}
