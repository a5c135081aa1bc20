import { access } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { ClusterDeclaration, NodeAddress } from "../cluster-plan.ts";
import { checkClusterDeclaration, nodeName } from "../cluster-plan.ts";
import type { Finding } from "../drift.ts";
import type { NodeView } from "../formation-plan.ts";
import { InvalidValueError } from "../invalid-value-error.ts";
import { integer, list, object, optional, path, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { compareTopology, layoutOf } from "../topology.ts";
import type { TopologyDeclaration } from "../topology.ts";
import { formCluster, observeEach } from "./formation.ts";
import type { FormationPorts } from "./formation.ts";
import { withNode } from "./node-client.ts";
import type { NodeAccess } from "./node-client.ts";
import { observeNode } from "./observe.ts";
import { poll } from "./poll.ts";
import { createCluster, endAbandonedCreation } from "./redis-cli.ts";
import type { CheckFailure, KnownInputs, ResourceType } from "./resource-type.ts";
import type { Values } from "./wire.ts";

const pauseMs = 200;
const graceMs = 15_000;
const creationLimitMs = 60_000;
/** How long a drift check waits for what may pass by itself. */
const passingLimitMs = 6000;
const lookIntervalMs = 300;
/** Looks in a row after which something is believed that no cluster shows in passing. */
const believedLooks = 2;

const fields = {
  nodes: list(object({ host: text, port: integer(1, 65_535) })),
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
  limitSeconds: withDefault(integer(10, 3600), 180),
};

type Inputs = Parsed<typeof fields>;

/** Nodes joined to one cluster as declared. Removing it does nothing: the cluster goes with its nodes. */
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
  create: (inputs) => form(inputs, undefined),
  update: (inputs, state) => form(inputs, { replicasPerMaster: inputs.replicasPerMaster, layout: layoutIn(state) }),
  async read(inputs, state) {
    const layout = layoutIn(state);
    const { views, findings } = await look(inputs, layout);
    // Ids are known of all nodes or of none; those of a node that does not answer have not changed by that.
    return { drift: findings, layout, nodeIds: views.length === inputs.nodes.length ? idsOf(views) : state["nodeIds"] };
  },
  delete: () => Promise.resolve(),
};

function layoutIn(state: Values): readonly string[] | undefined {
  const layout = state["layout"];
  return Array.isArray(layout) ? (layout as readonly string[]) : undefined;
}

/**
 * Looks until the cluster is as declared, or shows what no cluster shows in passing, or has shown it for long enough: while a
 * replica takes over or a node starts, all kinds of things are seen for a moment, and none of them is drift.
 */
async function look(inputs: Inputs, layout: readonly string[] | undefined): Promise<{ readonly views: readonly NodeView[]; readonly findings: readonly Finding[] }> {
  const ports = portsOf(inputs);
  let lastingLooks = 0;
  let seen: { readonly views: readonly NodeView[]; readonly findings: readonly Finding[] } = { views: [], findings: [] };
  await poll(
    passingLimitMs,
    async () => {
      const { views, silent } = await observeEach(inputs.nodes, ports);
      const { findings, lasting } = compareTopology(views, silent, { replicasPerMaster: inputs.replicasPerMaster, layout });
      seen = { views, findings };
      lastingLooks = lasting ? lastingLooks + 1 : 0;
      return findings.length === 0 || lastingLooks >= believedLooks ? true : undefined;
    },
    lookIntervalMs,
  );
  return seen;
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

async function form(inputs: Inputs, formed: TopologyDeclaration | undefined): Promise<Record<string, unknown>> {
  await endAbandonedCreation(inputs.recordFile);
  const { nodes, user, password } = inputs;
  const task = { nodes, masters: checkClusterDeclaration(inputs), limitMs: inputs.limitSeconds * 1000, graceMs, login: { user, password }, ...(formed !== undefined && { formed }) };
  const views = await formCluster(task, portsOf(inputs));
  return { drift: [], layout: formed?.layout ?? layoutOf(views), nodeIds: idsOf(views) };
}

function idsOf(views: readonly NodeView[]): string[] {
  return views.map((view) => view.id);
}

function portsOf(inputs: Inputs): FormationPorts {
  const accessTo = ({ host, port }: NodeAddress): NodeAccess => ({ ...inputs, host, port });
  return {
    observe: (node) => withNode(accessTo(node), (call) => observeNode(node, call)),
    call: (node, command) => withNode(accessTo(node), (call) => call(...command)),
    createCluster: () => createCluster({ ...inputs, limitMs: creationLimitMs }),
    now: () => performance.now(),
    pause: () => delay(pauseMs),
  };
}
