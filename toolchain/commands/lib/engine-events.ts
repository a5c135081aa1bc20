import { closeSync, openSync, readSync } from "node:fs";

/** What of one engine event is told to people (Pulumi sdk/go/common/apitype/events.go has all of it). */
export interface EngineEvent {
  readonly summaryEvent?: { readonly resourceChanges?: Readonly<Record<string, number>> };
  /** A step is about to be done, or in a preview would be. */
  readonly resourcePreEvent?: { readonly metadata: StepMetadata };
  /** A step has been done. */
  readonly resOutputsEvent?: { readonly metadata: StepMetadata };
  readonly diagnosticEvent?: Diagnostic;
}

/** What was done with one resource. */
export interface StepMetadata {
  /** Pulumi's name of the operation: `create`, `update`, `delete`, `same`, `refresh` and more. */
  readonly op: string;
  readonly urn: string;
  readonly type: string;
  /** Names of the properties that were not as declared. */
  readonly diffs?: readonly string[] | null;
  /** The resource in the state; in a preview with refresh, as it was just found. */
  readonly old?: ResourceState | null;
  /** The resource as it is to be. */
  readonly new?: ResourceState | null;
}

/** A resource as an event tells of it: secrets read `[secret]`. */
export interface ResourceState {
  readonly parent?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** A message of the engine, a provider or the program. */
export interface Diagnostic {
  /** `debug`, `info`, `info#err` (what a program writes to standard error), `warning` or `error`. */
  readonly severity: string;
  readonly message: string;
  /** Of the resource that it is about. */
  readonly urn?: string;
}

const chunkBytes = 64 * 1024;
const lineFeed = 0x0a;

/** Reads the event log of a running operation as it grows: one JSON text per line. */
export class EventLog {
  readonly #file: string;
  #position = 0;
  /** The beginning of a line that has not been written to its end. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string) {
    this.#file = file;
  }

  /** The events that were written since the last call; none where the engine has not got so far as to write any. */
  read(): EngineEvent[] {
    const bytes = Buffer.concat([this.#rest, ...this.#readOn()]);
    const end = bytes.lastIndexOf(lineFeed) + 1;
    this.#rest = bytes.subarray(end);
    const lines = bytes.toString("utf8", 0, end).split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as EngineEvent);
  }

  #readOn(): Buffer[] {
    const file = openIfThere(this.#file);
    if (file === undefined) return [];
    try {
      const chunks: Buffer[] = [];
      for (;;) {
        const chunk = Buffer.alloc(chunkBytes);
        const length = readSync(file, chunk, 0, chunkBytes, this.#position);
        if (length === 0) return chunks;
        this.#position += length;
        chunks.push(chunk.subarray(0, length));
      }
    } finally {
      closeSync(file);
    }
  }
}

function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
