import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { nodeName } from "../cluster-plan.ts";
import { integer, list, object, path, text } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import { ignoreAbsent } from "./atomic-file.ts";
import { declarationOnly } from "./resource-type.ts";
import type { CheckFailure, KnownInputs, ResourceType } from "./resource-type.ts";

const fields = {
  nodes: list(object({ host: text, port: integer(1, 65_535) })),
  replicasPerMaster: integer(1, 100),
  /** Holds a directory for each node, named by its port, with its data in `data`. */
  directory: path,
};

type Inputs = Parsed<typeof fields>;

/**
 * What a cluster is declared to be. Its nodes depend on it, so that another declaration than the one it was formed of is
 * refused before a node is touched, in an update without preview too: the formation itself comes last.
 */
export const clusterDeclarationResource: ResourceType<typeof fields> = {
  fields,
  ...declarationOnly,
  preflight,
  identify: ({ directory }) => directory,
  delete: () => Promise.resolve(),
};

async function preflight({ known: { nodes, replicasPerMaster } }: KnownInputs<typeof fields>, old: Inputs | undefined): Promise<readonly CheckFailure[]> {
  if (old === undefined || nodes === undefined || isDeepStrictEqual([old.nodes, old.replicasPerMaster], [nodes, replicasPerMaster])) return [];
  // What was declared and never formed, because something failed before, may be declared otherwise.
  if (!(await isFormed(old))) return [];
  const was = `${old.nodes.map(nodeName).join(", ")} with ${old.replicasPerMaster} replica(s) per master`;
  return [{ property: "nodes", reason: `the cluster is already formed of ${was}; its nodes cannot be changed in place. Restore them, or destroy the stack first` }];
}

/** Whether a node's own record of its cluster (nodes.conf, in the form of CLUSTER NODES) names any other. */
async function isFormed({ nodes, directory }: Inputs): Promise<boolean> {
  const records = await Promise.all(nodes.map(({ port }) => readFile(join(directory, String(port), "data", "nodes.conf"), "utf8").catch(ignoreAbsent)));
  return records.some((record) => (record?.match(/^[0-9a-f]{40} /gm)?.length ?? 0) > 1);
}
