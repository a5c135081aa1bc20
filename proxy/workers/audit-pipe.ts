import type { Duplex } from "node:stream";
import type { AuditSink } from "../access/audit-writer.ts";

/** Bytes before each batch of lines: how many follow. */
export const HEADER_BYTES = 4;
/** What the process that has the file answers to a batch: a line, this one or `!` and the system's error code. */
export const WRITTEN = "ok";
export const FAILED = "!";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * A worker's way to the audit's file: batches of whole lines go through a pipe to the process that has it, and count as written
 * when that says so. Where the file takes nothing the batch stays there, and is told of with each failure until it is written.
 */
export class AuditPipe implements AuditSink {
  readonly #stream: Duplex;
  /** The batch that was sent last: none, not written yet, or written while nobody asked. */
  #batch: "none" | "sent" | "written" = "none";
  #waiting: Waiting | undefined;
  #broken: Error | undefined;
  #text = "";

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.#take(chunk.toString("latin1"));
    });
    stream.on("error", () => undefined);
    stream.on("close", () => {
      this.#broken = Object.assign(new Error("the process that writes the audit has gone"), { code: "EPIPE" });
      this.#settle((waiting) => { waiting.reject(this.#broken!); });
    });
  }

  /** `bytes[offset, offset + length)` must not change until it is written. A try after a failure is for the same batch. */
  write(bytes: Buffer, offset: number, length: number): Promise<{ readonly bytesWritten: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly bytesWritten: number }>();
    if (this.#broken !== undefined) {
      reject(this.#broken);
      return promise;
    }
    if (this.#batch === "written") {
      this.#batch = "none";
      resolve({ bytesWritten: length });
      return promise;
    }
    this.#waiting = {
      resolve: () => {
        resolve({ bytesWritten: length });
      },
      reject,
    };
    if (this.#batch === "none") {
      this.#batch = "sent";
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt32LE(length);
      this.#stream.cork();
      this.#stream.write(header);
      this.#stream.write(bytes.subarray(offset, offset + length));
      this.#stream.uncork();
    }
    return promise;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#stream.end(() => {
        resolve();
      });
    });
  }

  #take(text: string): void {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop()!;
    for (const line of lines) {
      if (line === WRITTEN) {
        // Between two tries nobody waits; the next one is for this batch.
        this.#batch = this.#waiting === undefined ? "written" : "none";
        this.#settle((waiting) => { waiting.resolve(); });
      } else {
        const code = line.slice(FAILED.length);
        this.#settle((waiting) => { waiting.reject(Object.assign(new Error(`the audit's file takes nothing: ${code}`), { code })); });
      }
    }
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) how(waiting);
  }
}
