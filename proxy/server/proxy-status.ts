import type { AuditHealth } from "../access/audit.ts";
import type { WorkerStatus } from "./fleet.ts";
import type { ServingStatus } from "./serving.ts";

/** A process as the admin endpoint shows it. */
interface ShownWorker {
  readonly worker: number;
  readonly pid: number;
  readonly sessions: number | undefined;
  readonly state: "serving" | "not reached yet" | "not serving";
}

/**
 * How well all processes are together. The audit is whole where it is in every process and in the file; a worker that is missing
 * is being replaced, and no reason to end the proxy as long as another serves.
 *
 * @param file how the audit's file is, where another process than those that serve has it
 */
export function healthOf(fleet: readonly WorkerStatus[], file: AuditHealth | undefined): { readonly ok: boolean; readonly audit: AuditHealth["detail"] | undefined; readonly workers: readonly ShownWorker[] | undefined } {
  const audits = [...answers(fleet).map(({ audit }) => audit), file].filter((audit) => audit !== undefined);
  const ok = answers(fleet).length > 0 && audits.every((audit) => audit.ok);
  return { ok, audit: audits.length === 0 ? undefined : audits.map(({ detail }) => detail).reduce(addDetails), workers: shown(fleet) };
}

/** Whether clients should be sent here: some process serves, and every one that serves knows its databases. */
export function readinessOf(fleet: readonly WorkerStatus[]): { readonly ok: boolean; readonly databases: Readonly<Record<string, string>>; readonly workers: readonly ShownWorker[] | undefined } {
  const databases: Record<string, string> = {};
  for (const status of answers(fleet)) {
    for (const [name, ready] of Object.entries(status.databases)) {
      if (!ready || databases[name] === undefined) databases[name] = ready ? "ready" : "not reached yet";
    }
  }
  const ok = answers(fleet).length > 0 && Object.values(databases).every((text) => text === "ready");
  return { ok, databases, workers: shown(fleet) };
}

function answers(fleet: readonly WorkerStatus[]): ServingStatus[] {
  return fleet.flatMap(({ status }) => status ?? []);
}

function addDetails(a: AuditHealth["detail"], b: AuditHealth["detail"]): AuditHealth["detail"] {
  return {
    written: a.written + b.written,
    lost: a.lost + b.lost,
    failures: a.failures + b.failures,
    bufferedBytes: a.bufferedBytes + b.bufferedBytes,
    accepting: a.accepting && b.accepting,
    problem: a.problem ?? b.problem,
  };
}

/** Undefined where the proxy is one process: then there is nothing to tell that is not told already. */
function shown(fleet: readonly WorkerStatus[]): ShownWorker[] | undefined {
  const workers = fleet.flatMap(({ worker, pid, status }): ShownWorker[] => {
    if (worker === undefined) return [];
    const state = status === undefined ? "not serving" : Object.values(status.databases).every(Boolean) ? "serving" : "not reached yet";
    return [{ worker, pid, sessions: status?.sessions, state }];
  });
  return workers.length === 0 ? undefined : workers;
}
