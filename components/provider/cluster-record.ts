import { readFile, rm, stat } from "node:fs/promises";
import type { NodeAddress } from "../cluster-plan.ts";
import { integer, list, object, optional, text } from "../fields.ts";
import { InvalidValueError } from "../invalid-value-error.ts";
import { ignoreAbsent, ownOwner, temporaryOf, writeFileAtomically } from "./atomic-file.ts";

/** What a cluster is on its way to, from what it was formed as. */
export interface Scaling {
  readonly nodes: readonly NodeAddress[];
  readonly replicasPerMaster: number;
  /** Nodes that were declared at any time before, by a scaling that was cut off and then changed too; members among them are to leave. */
  readonly former: readonly NodeAddress[];
}

/**
 * What is written down about a cluster beside its nodes. It is there from the end of the cluster's formation until it is given
 * up; Pulumi's state cannot tell as much: a run that is killed leaves it as it was before, and a node does not see it.
 */
export interface ClusterRecord {
  readonly nodes: readonly NodeAddress[];
  /** A scaling that was begun and has not come to its end; with when it was begun. */
  readonly scaling: (Scaling & { readonly since: Date }) | undefined;
}

const address = object({ host: text, port: integer(1, 65_535) });
const readRecord = object({ nodes: list(address), scaling: optional(object({ nodes: list(address), replicasPerMaster: integer(1, 100), former: list(address) })) });

/** The record in a file; undefined where there is none, or none that can be read. */
export async function readClusterRecord(file: string): Promise<ClusterRecord | undefined> {
  const [content, facts] = await Promise.all([readFile(file, "utf8").catch(ignoreAbsent), stat(file).catch(ignoreAbsent)]);
  if (content === undefined || facts === undefined) return undefined;
  try {
    const { nodes, scaling } = readRecord(JSON.parse(content), file);
    return { nodes, scaling: scaling === undefined ? undefined : { ...scaling, since: facts.mtime } };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof InvalidValueError) return undefined;
    throw error;
  }
}

/** Writes down that a cluster is formed of these nodes and, with `scaling`, that it is on its way to another shape. */
export async function writeClusterRecord(file: string, nodes: readonly NodeAddress[], scaling?: Scaling): Promise<void> {
  const record = { nodes, ...(scaling !== undefined && { scaling: { nodes: scaling.nodes, replicasPerMaster: scaling.replicasPerMaster, former: scaling.former } }) };
  const content = `${JSON.stringify(record, undefined, 2)}\n`;
  // As it is, it tells when a scaling was begun that is gone on with now.
  if ((await readFile(file, "utf8").catch(ignoreAbsent)) === content) return;
  await writeFileAtomically(file, content, "0600", ownOwner());
}

/** Forgets the cluster: its nodes may be stopped and removed with all that they hold. */
export async function removeClusterRecord(file: string): Promise<void> {
  await rm(file, { force: true });
  await rm(temporaryOf(file), { force: true });
}
