import type { Diagnostic, EngineEvent, StepMetadata } from "./engine-events.ts";

/** Operations that only look, or leave a resource as it is. */
const quiet = new Set(["same", "read", "refresh"]);

/** Replacing comes as several steps; the one that makes the new resource is told. */
const untold = new Set(["replace", "delete-replaced", "discard-replaced", "read-discard", "remove-pending-replace"]);

const verbs: Readonly<Record<string, string>> = {
  create: "made",
  update: "changed",
  delete: "removed",
  "create-replacement": "replaced",
};

/** Resources that are told each by itself, because they are what people wait for: what they are when made, and when removed. */
const milestones: Readonly<Record<string, readonly [made: string, removed: string]>> = {
  "redisaccess:index:Process": ["runs", "stopped"],
  "redisaccess:index:ClusterFormation": ["the nodes are one cluster", "no cluster any more"],
};

/** More resources than these at a time are counted, not listed. */
const listedAtMost = 5;

/** Whether anything but looking was done. */
export function changedAnything(changes: Readonly<Record<string, number>>): boolean {
  return Object.entries(changes).some(([operation, count]) => count > 0 && !quiet.has(operation));
}

/**
 * What an operation did since the last look, in lines for a person: what people wait for and what was mended by name,
 * the many small parts of something new by their number, unchanged ones not at all, and every message in full.
 */
export function describeProgress(events: readonly EngineEvent[]): string[] {
  const lines: string[] = [];
  const counted = new Map<string, StepMetadata[]>();
  for (const { resOutputsEvent, diagnosticEvent } of events) {
    if (diagnosticEvent !== undefined && diagnosticEvent.severity !== "debug") lines.push(describeDiagnostic(diagnosticEvent));
    const step = resOutputsEvent?.metadata;
    if (step === undefined || quiet.has(step.op) || untold.has(step.op)) continue;
    const milestone = describeMilestone(step);
    if (milestone !== undefined) lines.push(milestone);
    else counted.set(step.op, [...(counted.get(step.op) ?? []), step]);
  }
  return [...[...counted].flatMap(([operation, steps]) => describeSteps(operation, steps)), ...lines];
}

/** The messages of errors among the events. */
export function errorsIn(events: readonly EngineEvent[]): Diagnostic[] {
  return events.flatMap(({ diagnosticEvent }) => (diagnosticEvent?.severity === "error" ? [diagnosticEvent] : []));
}

function describeMilestone({ op, urn, type, diffs }: StepMetadata): string | undefined {
  const texts = milestones[type];
  if (texts === undefined) return undefined;
  const name = nameOf(urn).replace(/-(process|formation)$/, "");
  if (op === "delete") return `  ${name}: ${texts[1]}`;
  return `  ${name}: ${texts[0]}${op === "create" ? "" : ` again${describeDiffs(diffs)}`}`;
}

function describeSteps(operation: string, steps: readonly StepMetadata[]): string[] {
  const verb = verbs[operation] ?? operation;
  if (steps.length > listedAtMost) return [`  ${verb} ${steps.length} resources`];
  return steps.map(({ urn, diffs }) => `  ${verb} ${nameOf(urn)}${operation === "update" ? describeDiffs(diffs) : ""}`);
}

function describeDiffs(diffs: StepMetadata["diffs"]): string {
  // What had drifted is a list of its own, for `npm run drift`; its name says nothing to a person.
  const named = (diffs ?? []).filter((name) => name !== "drift");
  return named.length === 0 ? "" : ` (${named.join(", ")} was not as declared)`;
}

/** A message of the engine without the marks that it makes, even without colours, where one would begin: <{%reset%}>. */
export function plainText(message: string): string {
  return message.replace(/<\{%.*?%\}>/g, "").trimEnd();
}

function describeDiagnostic({ severity, message, urn }: Diagnostic): string {
  const text = plainText(message);
  const about = urn === undefined || urn === "" ? "" : `${nameOf(urn)}: `;
  return severity === "error" || severity === "warning" ? `${severity}: ${about}${text}` : `  ${about}${text}`;
}

function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? urn;
}
