import type { Diagnostic, EngineEvent, StepMetadata } from "./engine-events.ts";
import { consequences, propertyWords } from "./property-words.ts";

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

/** Resources of one kind of change that an operation names; of more it tells the number. */
const namedAtMost = 5;

/** How long small changes are gathered before they are told, unless something that people wait for comes first. */
const gatherMs = 2_000;

/** Whether anything but looking was done. */
export function changedAnything(changes: Readonly<Record<string, number>>): boolean {
  return Object.entries(changes).some(([operation, count]) => count > 0 && !quiet.has(operation));
}

/**
 * What an operation does, in lines for a person: what people wait for and what was mended by name, the many small parts of
 * something new by their number, unchanged ones not at all, and every message in full.
 */
export class Progress {
  readonly #now: () => number;
  readonly #gathered = new Map<string, StepMetadata[]>();
  readonly #named = new Map<string, number>();
  #gatheredSince = 0;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The lines that are due once these events have come. To be called without events too, from time to time. */
  add(events: readonly EngineEvent[]): string[] {
    const lines: string[] = [];
    for (const { resOutputsEvent, diagnosticEvent } of events) {
      if (diagnosticEvent !== undefined && diagnosticEvent.severity !== "debug") lines.push(describeDiagnostic(diagnosticEvent));
      const step = resOutputsEvent?.metadata;
      if (step === undefined || quiet.has(step.op) || untold.has(step.op)) continue;
      const milestone = describeMilestone(step);
      if (milestone !== undefined) lines.push(milestone);
      else this.#gather(step);
    }
    const due = lines.length > 0 || this.#now() - this.#gatheredSince >= gatherMs;
    return due ? [...this.finish(), ...lines] : [];
  }

  /** The lines that are still owed when the operation has ended. */
  finish(): string[] {
    const lines = [...this.#gathered].flatMap(([operation, steps]) => this.#describe(operation, steps));
    this.#gathered.clear();
    return lines;
  }

  #gather(step: StepMetadata): void {
    if (this.#gathered.size === 0) this.#gatheredSince = this.#now();
    this.#gathered.set(step.op, [...(this.#gathered.get(step.op) ?? []), step]);
  }

  #describe(operation: string, steps: readonly StepMetadata[]): string[] {
    const verb = verbs[operation] ?? operation;
    const named = (this.#named.get(operation) ?? 0) + steps.length;
    this.#named.set(operation, named);
    if (named > namedAtMost) return [`  ${verb} ${steps.length} resource${steps.length === 1 ? "" : "s"}`];
    return steps.map(({ urn, diffs }) => `  ${verb} ${nameOf(urn)}${operation === "update" ? describeDiffs(diffs) : ""}`);
  }
}

/** The messages of errors among the events. */
export function errorsIn(events: readonly EngineEvent[]): Diagnostic[] {
  return events.flatMap(({ diagnosticEvent }) => (diagnosticEvent?.severity === "error" ? [diagnosticEvent] : []));
}

function describeMilestone(step: StepMetadata): string | undefined {
  const texts = milestones[step.type];
  if (texts === undefined) return undefined;
  const name = nameOf(step.urn).replace(/-(process|formation)$/, "");
  if (step.op === "delete") return `  ${name}: ${texts[1]}`;
  if (step.op === "create") return `  ${name}: ${texts[0]}`;
  return `  ${name}: ${isSameProcess(step) ? "goes on running" : `${texts[0]} again`}${describeDiffs(step.diffs)}`;
}

/** Whether a program was told, and not started anew. */
function isSameProcess({ old, new: now }: StepMetadata): boolean {
  const [before, after] = [old, now].map((state) => state?.outputs?.["pid"]);
  return typeof before === "number" && before > 0 && before === after && old?.outputs?.["state"] === "running";
}

function describeDiffs(diffs: StepMetadata["diffs"]): string {
  // What had drifted is a list of its own, for `npm run drift`; its name says nothing to a person.
  const named = propertyWords((diffs ?? []).filter((name) => !consequences.has(name)));
  return named.length === 0 ? "" : ` (${named.join(", ")})`;
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
