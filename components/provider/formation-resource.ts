import { access } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { ClusterDeclaration, NodeAddress } from "../cluster-plan.ts";
import { checkClusterDeclaration, nodeName } from "../cluster-plan.ts";
import type { Finding } from "../drift.ts";
import { planFormation } from "../formation-plan.ts";
import type { NodeView } from "../formation-plan.ts";
import { InvalidValueError } from "../invalid-value-error.ts";
import { integer, list, object, optional, path, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { formCluster, observeAll } from "./formation.ts";
import type { FormationPorts } from "./formation.ts";
import { withNode } from "./node-client.ts";
import type { NodeAccess } from "./node-client.ts";
import { observeNode } from "./observe.ts";
import { createCluster, endAbandonedCreation } from "./redis-cli.ts";
import type { CheckFailure, KnownInputs, ResourceType } from "./resource-type.ts";

const pauseMs = 200;
const graceMs = 15_000;
const creationLimitMs = 60_000;

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
  outputs: ["nodeIds"],
  secretOutputs: [],
  expectations: ["drift"],
  expectedFrom: [],
  expect: () => ({ drift: [] }),
  preflight,
  identify: (inputs) => inputs.nodes.map(nodeName).join(","),
  create: form,
  update: form,
  async read(inputs, state) {
    const views = await observeAll(inputs.nodes, portsOf(inputs));
    const finding = (actual: string): Finding[] => [{ thing: "topology", declared: "formed", actual, mend: "cluster" }];
    if (typeof views === "string") return { drift: finding(views), nodeIds: state["nodeIds"] };
    const plan = planFormation(views, checkClusterDeclaration(inputs));
    return { drift: plan.kind === "adopt" ? [] : finding(describe(plan.kind, "reason" in plan ? plan.reason : undefined)), nodeIds: idsOf(views) };
  },
  delete: () => Promise.resolve(),
};

const descriptions: Readonly<Record<string, string>> = {
  create: "the nodes are not joined",
  "start-over": "the nodes are joined in part",
  replace: "a node lost its place",
  "fail-over": "a master lost its place",
};

function describe(kind: string, reason: string | undefined): string {
  return reason ?? descriptions[kind] ?? kind;
}

async function preflight({ known }: KnownInputs<typeof fields>, old: Inputs | undefined): Promise<readonly CheckFailure[]> {
  const { nodes, replicasPerMaster, redisCli } = known;
  if (nodes !== undefined && replicasPerMaster !== undefined) {
    const problem = describeDeclaration({ nodes, replicasPerMaster }, old);
    if (problem !== undefined) return [{ property: "nodes", reason: problem }];
  }
  const missing = redisCli !== undefined && (await access(redisCli).then(() => false, () => true));
  return missing ? [{ property: "redisCli", reason: `${redisCli} is not there; install the package redis-tools` }] : [];
}

function describeDeclaration(declared: ClusterDeclaration, old: Inputs | undefined): string | undefined {
  try {
    checkClusterDeclaration(declared);
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    return error.message;
  }
  if (old === undefined || isDeepStrictEqual([old.nodes, old.replicasPerMaster], [declared.nodes, declared.replicasPerMaster])) return undefined;
  const was = `${old.nodes.map(nodeName).join(", ")} with ${old.replicasPerMaster} replica(s) per master`;
  return `the cluster is already formed of ${was}; its nodes cannot be changed in place. Restore them, or destroy the stack first`;
}

async function form(inputs: Inputs): Promise<Record<string, unknown>> {
  await endAbandonedCreation(inputs.recordFile);
  const task = { nodes: inputs.nodes, masters: checkClusterDeclaration(inputs), limitMs: inputs.limitSeconds * 1000, graceMs };
  return { drift: [], nodeIds: idsOf(await formCluster(task, portsOf(inputs))) };
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
