import type { Finding, Mend } from "../../../components/drift.ts";
import type { EngineEvent, ResourceState, StepMetadata } from "./engine-events.ts";
import { consequences, propertyWords } from "./property-words.ts";

/** One difference between what is declared and what is, with what it is about and what comes of it. */
export interface Difference extends Omit<Finding, "mend"> {
  /** What it is about: `node 127.0.0.1:7001`, `proxy 127.0.0.1:7379`, `cluster`, `files`. */
  readonly subject: string;
  readonly mend: Mend | "apply";
  /** What `up` will do. */
  readonly up: string;
  /** Whether clients will notice. */
  readonly clients: string;
  /** The resource's URN. */
  readonly resource: string;
}

type Outcome = Pick<Difference, "up" | "clients">;

const unnoticed = "do not notice";
const outcomes: Readonly<Record<Difference["mend"], Outcome>> = {
  live: { up: "changes it in the running node", clients: unnoticed },
  restart: { up: "restarts it; a master hands over to a replica first", clients: "those connected to it connect again; through the proxy they wait a moment" },
  start: { up: "starts it", clients: unnoticed },
  renew: { up: "makes a new one, and tells the program that shows it", clients: unnoticed },
  write: { up: "writes it anew", clients: unnoticed },
  cluster: { up: "puts the members right", clients: unnoticed },
  slots: { up: "moves the slots with their keys while they are served", clients: unnoticed },
  scale: { up: "goes on with it, to what the code says now", clients: unnoticed },
  leave: { up: "leaves it running, because nobody has declared it: end it, unless somebody needs it", clients: "nothing changes for them" },
  refuse: { up: "leaves it to you, and says what to do", clients: "nothing changes for them" },
  apply: { up: "applies what the code says now", clients: "depends on the change; see pulumi preview" },
};

const proxyOutcomes: Partial<Record<Difference["mend"], Outcome>> = {
  live: { up: "has it read its configuration again, or restarts it where that is not enough", clients: "do not notice; where it is restarted they connect again" },
  restart: { up: "restarts it", clients: "are disconnected, and connect again" },
  start: { up: "starts it", clients: "can connect again" },
};

/** What becomes of a difference in what the code has no more. */
const removal: Pick<Difference, "mend" | "up"> = { mend: "apply", up: "removes it with what it belongs to, which the code has no more" };

const quiet: ReadonlySet<string> = new Set(["same", "read", "refresh"]);

/** Properties whose difference the findings of a resource tell already. */
const toldByFindings: ReadonlySet<string> = new Set(["drift", "sha256", "mode", "owner", "state", "fingerprint"]);

type Told = Omit<Difference, keyof Outcome | "subject" | "resource">;

/**
 * Reads from the events of `pulumi preview --refresh` what differs; empty where all is as declared. What was found in the
 * world stands in them even where the preview then failed.
 */
export function reportDrift(events: readonly EngineEvent[]): Difference[] {
  const found = events.flatMap(({ resOutputsEvent }) => (resOutputsEvent?.metadata.op === "refresh" ? [resOutputsEvent.metadata] : []));
  const planned = events.flatMap(({ resourcePreEvent }) => (resourcePreEvent === undefined || quiet.has(resourcePreEvent.metadata.op) ? [] : [resourcePreEvent.metadata]));
  const stack = planned.find(({ op, type }) => op === "create" && type === "pulumi:pulumi:Stack");
  if (stack !== undefined) return [notMade(stack.urn, planned.length)];
  const subjectOf = nameSubjects([...found, ...planned]);
  const leaving = new Set(planned.filter(({ op }) => op === "delete").map(({ urn }) => urn));
  const inWorld = found.flatMap((step) => findingsOf(step).map((told) => ({ ...complete(told, subjectOf(step), step.urn), ...(leaving.has(step.urn) && removal) })));
  const known = new Set(found.map(({ urn }) => urn));
  const drifted = new Set(inWorld.map(({ resource }) => resource));
  const inCode = planned.filter((step) => !comesWithParent(step, planned)).flatMap((step) => changesOf(step, known.has(step.urn), drifted.has(step.urn)).map((told) => complete(told, subjectOf(step), step.urn)));
  return [...inWorld, ...inCode].sort((a, b) => a.subject.localeCompare(b.subject, "en", { numeric: true }));
}

/**
 * Whether differences tell all that kept a preview from its end: an update would be refused because of them. What the code says
 * otherwise than at the last update is not among them then.
 * @param problem a line for each reason
 */
export function isTold(problem: string, differences: readonly Difference[]): boolean {
  const refusals = differences.flatMap((difference) => difference.refusals ?? []);
  return problem !== "" && problem.split("\n").every((line) => refusals.some((refusal) => line.includes(refusal)));
}

/** Of a stack that has made nothing, or is down, that alone is told. */
function notMade(urn: string, resources: number): Difference {
  return { subject: "stack", thing: "all of it", declared: `${resources} resources`, actual: "nothing made", mend: "apply", up: "makes it", clients: "can connect then", resource: urn };
}

function complete(told: Told, subject: string, resource: string): Difference {
  const special = subject.startsWith("proxy") ? proxyOutcomes[told.mend] : undefined;
  return { subject, ...told, ...(special ?? outcomes[told.mend]), resource };
}

/** What a look at the world has found. */
function findingsOf({ urn, old, new: seen }: StepMetadata): readonly Told[] {
  if (seen === null || seen === undefined) return [{ thing: (old === undefined || old === null ? undefined : pathOf(old)) ?? nameOf(urn), declared: "there", actual: "missing", mend: "write" }];
  return (seen.outputs?.["drift"] ?? []) as readonly Finding[];
}

/** What the code says otherwise than at the last update. */
function changesOf({ op, urn, diffs }: StepMetadata, known: boolean, drifted: boolean): readonly Told[] {
  const thing = nameOf(urn);
  if (op === "create") return known ? [] : [{ thing, declared: "in the code", actual: "not made yet", mend: "apply" }];
  if (op === "delete") return [{ thing, declared: "no longer in the code", actual: "still there", mend: "apply" }];
  const changed = (diffs ?? []).filter((property) => !consequences.has(property) && !(drifted && toldByFindings.has(property)));
  return changed.length === 0 ? [] : [{ thing, declared: `otherwise since the last update (${propertyWords(changed).join(", ")})`, actual: "as the last update left it", mend: "apply" }];
}

/** Whether a resource is made or removed with the component that it is a part of, which is told. */
function comesWithParent(step: StepMetadata, planned: readonly StepMetadata[]): boolean {
  const parent = stateOf(step)?.parent;
  return (step.op === "create" || step.op === "delete") && planned.some(({ op, urn }) => op === step.op && urn === parent);
}

function stateOf({ old, new: next }: StepMetadata): ResourceState | undefined {
  return next ?? old ?? undefined;
}

/** The file or directory that a resource is, as far as a person needs to name it: without what all of the stack's paths share. */
function pathOf({ inputs }: ResourceState): string | undefined {
  const path = inputs?.["path"];
  return typeof path === "string" ? path.split("/").at(-1) : undefined;
}

function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? urn;
}

/** A node and a proxy are named by where they listen, which their process says. */
function nameSubjects(steps: readonly StepMetadata[]): (step: StepMetadata) => string {
  const addresses = new Map(
    steps.flatMap((step) => {
      const state = stateOf(step);
      const [first] = (state?.inputs?.["listens"] ?? []) as readonly { readonly host: string; readonly port: number }[];
      return state?.parent === undefined || first === undefined ? [] : [[state.parent, `${first.host.includes(":") ? `[${first.host}]` : first.host}:${first.port}`] as const];
    }),
  );
  return (step) => {
    const parent = stateOf(step)?.parent ?? "";
    const kind = /(\w+)$/.exec(parent.split("::")[2] ?? "")?.[1];
    const address = addresses.get(parent) ?? nameOf(parent);
    if (kind === "RedisNode") return `node ${address}`;
    if (kind === "AccessProxy") return `proxy ${address}`;
    return kind === "RedisCluster" ? "cluster" : "stack";
  };
}
