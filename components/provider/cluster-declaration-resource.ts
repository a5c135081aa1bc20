import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NodeAddress } from "../cluster-plan.ts";
import { distinctNodes, nodeName } from "../cluster-plan.ts";
import { integer, list, object, path, text } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { ignoreAbsent } from "./atomic-file.ts";
import { declarationOnly } from "./resource-type.ts";
import type { CheckFailure, KnownInputs, ResourceType } from "./resource-type.ts";
import type { Values } from "./wire.ts";

const fields = {
  nodes: list(object({ host: text, port: integer(1, 65_535) })),
  replicasPerMaster: integer(1, 100),
  /** Holds a directory for each node, named by its port, with its data in `data`. */
  directory: path,
};

type Inputs = Parsed<typeof fields>;

/**
 * What a cluster is declared to be, and which nodes it was declared to have before. Its nodes depend on it: what cannot be done
 * is refused before a node is touched, in an update without preview too, and a node that is declared no longer is remembered
 * from the first moment, whatever becomes of the update.
 */
export const clusterDeclarationResource: ResourceType<typeof fields> = {
  ...declarationOnly,
  fields,
  outputs: ["former"],
  foresee: (inputs, state) => ({ former: formerNodes(inputs, state) }),
  preflight,
  identify: ({ directory }) => directory,
  create: (inputs) => Promise.resolve({ ...inputs, former: [] }),
  read: (inputs, state) => Promise.resolve({ ...inputs, former: nodesIn(state, "former") }),
  update: (inputs, state) => Promise.resolve({ ...inputs, former: formerNodes(inputs, state) }),
  delete: () => Promise.resolve(),
};

async function preflight({ known: { nodes } }: KnownInputs<typeof fields>, old: Inputs | undefined): Promise<readonly CheckFailure[]> {
  if (old === undefined || nodes === undefined) return [];
  const declared = new Set(nodes.map(nodeName));
  // What was declared and never formed, because something failed before, may be declared otherwise.
  if (old.nodes.some((node) => declared.has(nodeName(node))) || !(await isFormed(old))) return [];
  return [{ property: "nodes", reason: `none of the cluster's nodes is left: ${old.nodes.map(nodeName).join(", ")}; expected at least one of them, for the others to join. To move all of it, replace them in two updates` }];
}

/** Nodes that were declared at any time and are not now. What of them is still a member is for the formation to see. */
function formerNodes({ nodes }: Values, state: Values): NodeAddress[] {
  // At preview, nodes that are not known yet are all of them unknown.
  const declared = new Set(Array.isArray(nodes) ? (nodes as NodeAddress[]).map(nodeName) : []);
  return distinctNodes([...nodesIn(state, "former"), ...nodesIn(state, "nodes")]).filter((node) => !declared.has(nodeName(node)));
}

function nodesIn(state: Values, property: "former" | "nodes"): readonly NodeAddress[] {
  const nodes = state[property];
  return Array.isArray(nodes) ? (nodes as readonly NodeAddress[]) : [];
}

/** Whether a node's own record of its cluster (nodes.conf, in the form of CLUSTER NODES) names any other. */
async function isFormed({ nodes, directory }: Inputs): Promise<boolean> {
  const records = await Promise.all(nodes.map(({ port }) => readFile(join(directory, String(port), "data", "nodes.conf"), "utf8").catch(ignoreAbsent)));
  return records.some((record) => (record?.match(/^[0-9a-f]{40} /gm)?.length ?? 0) > 1);
}
