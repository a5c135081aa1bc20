import type { Duplex } from "node:stream";
import { CHUNK_BYTES } from "../access/audit-chunk.ts";
import { openAuditFile } from "../access/audit-file.ts";
import { AuditWriter } from "../access/audit-writer.ts";
import type { AuditHealth } from "../access/audit.ts";
import { FAILED, HEADER_BYTES, WRITTEN } from "./audit-pipe.ts";

/** Milliseconds between tries while the file takes nothing. */
const RETRY_MS = 1_000;
const LINE_FEED = 0x0a;

/**
 * The one writer of the audit's file, where several processes have events for it. Each sends batches of whole lines and waits
 * for the answer before it sends the next; they are written one behind the other, so that lines are never torn, those of a
 * session keep their order, and memory is bounded by one batch a process. A process that is killed in the middle of a batch
 * leaves the whole lines of it.
 */
export class AuditFunnel {
  readonly #file: string;
  readonly #writer: AuditWriter;
  /** Who gets an answer for each batch that is not written yet, oldest first. */
  #batches: Duplex[] = [];
  #problem: string | undefined;
  #failures = 0;

  private constructor(file: string, handle: Awaited<ReturnType<typeof openAuditFile>>) {
    this.#file = file;
    this.#writer = new AuditWriter(handle, 0, RETRY_MS, {
      onWritten: (batches) => {
        this.#problem = undefined;
        for (const stream of this.#batches.splice(0, batches)) answer(stream, WRITTEN);
      },
      onFailure: (error) => {
        const code = (error as NodeJS.ErrnoException).code ?? String(error);
        this.#failures++;
        this.#problem = `the audit file ${file} cannot be written: ${code}`;
        for (const stream of this.#batches) answer(stream, `${FAILED}${code.replaceAll("\n", " ")}`);
      },
    });
  }

  /**
   * Opens or creates the file.
   *
   * @throws AuditFileError where that cannot be
   */
  static async open(file: string): Promise<AuditFunnel> {
    return new AuditFunnel(file, await openAuditFile(file));
  }

  /** Takes the batches of a process, until it closes its end. */
  attach(stream: Duplex): void {
    let pending: Buffer = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      while (pending.length >= HEADER_BYTES) {
        const end = HEADER_BYTES + pending.readUInt32LE();
        // Nobody but this program writes here: what has no such length is no batch, and nothing behind it can be told apart.
        if (end > HEADER_BYTES + CHUNK_BYTES) stream.destroy();
        if (pending.length < end) return;
        this.#take(stream, pending.subarray(HEADER_BYTES, end));
        pending = pending.subarray(end);
      }
    });
    stream.on("error", () => undefined);
    stream.on("close", () => {
      const lines = pending.subarray(HEADER_BYTES, pending.lastIndexOf(LINE_FEED) + 1);
      pending = Buffer.alloc(0);
      if (lines.length > 0) this.#take(stream, lines);
    });
  }

  /** How the file is; what was written and lost, the processes know that have the events. */
  health(): AuditHealth {
    const detail = { written: 0, lost: 0, failures: this.#failures, bufferedBytes: this.#writer.backlogBytes, accepting: true, problem: this.#problem };
    return { ok: this.#problem === undefined, detail };
  }

  /**
   * Opens the file's name anew, after a rotation moved the file away.
   *
   * @throws AuditFileError where that cannot be; then the file before it goes on being written
   */
  async reopen(): Promise<void> {
    await this.#writer.replace(await openAuditFile(this.#file));
  }

  /** Writes what has come, and closes the file. */
  async close(): Promise<void> {
    await this.#writer.close();
  }

  #take(stream: Duplex, lines: Buffer): void {
    const chunk = this.#writer.chunkFor(lines.length);
    chunk.append(lines);
    chunk.events++;
    this.#batches.push(stream);
    this.#writer.added();
  }
}

function answer(stream: Duplex, text: string): void {
  if (stream.writable) stream.write(`${text}\n`);
}
