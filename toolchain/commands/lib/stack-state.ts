import { absentStack, pulumiOutput } from "./pulumi.ts";

/** What Pulumi's state says of a stack. */
export interface StackState {
  readonly name: string;
  /** `up`, `down` (it exists, and has made nothing), `absent`, or `interrupted` (a run was cut off). */
  readonly state: "up" | "down" | "absent" | "interrupted";
  readonly resources: number;
  /** Names of the resources that the engine refuses to delete. */
  readonly protected: readonly string[];
  /** The last run that changed the stack: what it was, how it ended and when (ISO 8601). */
  readonly lastRun?: { readonly kind: string; readonly result: string; readonly endTime: string };
}

interface Export {
  readonly deployment?: { readonly resources?: readonly { readonly urn: string; readonly protect?: boolean }[]; readonly pending_operations?: unknown[] };
}

/** Reads what Pulumi knows of a stack. */
export async function stackState(name: string): Promise<StackState> {
  let exported: Export;
  try {
    exported = JSON.parse(await pulumiOutput(["stack", "export", "--stack", name])) as Export;
  } catch (error) {
    if (absentStack(error) !== undefined) return { name, state: "absent", resources: 0, protected: [] };
    throw error;
  }
  const all = exported.deployment?.resources ?? [];
  const resources = all.length;
  const interrupted = (exported.deployment?.pending_operations?.length ?? 0) > 0;
  const [last] = JSON.parse(await pulumiOutput(["stack", "history", "--json", "--page-size", "1", "--stack", name])) as StackState["lastRun"][];
  return {
    name,
    state: interrupted ? "interrupted" : resources === 0 ? "down" : "up",
    resources,
    protected: all.filter(({ protect }) => protect === true).map(({ urn }) => urn.split("::").at(-1) ?? urn).sort(),
    ...(last === undefined ? {} : { lastRun: { kind: last.kind, result: last.result, endTime: last.endTime } }),
  };
}
