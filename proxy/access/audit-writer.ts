import { AuditChunk, CHUNK_BYTES } from "./audit-chunk.ts";

/** Chunks that are kept for use again. */
const MOST_SPARE_CHUNKS = 4;

/** What lines are written to: the file, or a way to the process that has it. */
export interface AuditSink {
  /** Takes a part of the bytes at least, at the end of what it has, or fails. */
  write(bytes: Buffer, offset: number, length: number, position: null): Promise<{ readonly bytesWritten: number }>;
  close(): Promise<void>;
}

/** What the writer tells. */
export interface WriterEvents {
  /** So many events have been handed to the operating system, and writing works. */
  readonly onWritten: (events: number) => void;
  /** A write failed; it will be tried again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Takes lines and brings them to the file in order: a full chunk at once, a part of one when the flush timer ends. One write is
 * in flight at a time. After a failure the rest is kept, and tried again on a timer.
 */
export class AuditWriter {
  readonly #flushMs: number;
  readonly #retryMs: number;
  readonly #events: WriterEvents;
  #handle: AuditSink;
  #current = new AuditChunk();
  /** Full chunks, oldest first; of the first one a part may be in the file already. */
  readonly #full: AuditChunk[] = [];
  readonly #spare: AuditChunk[] = [];
  /** Files to change to when no write is in flight. */
  readonly #replacements: { readonly handle: AuditSink; readonly resolve: (old: AuditSink) => void }[] = [];
  #running: Promise<void> | undefined;
  #failing = false;
  #closed = false;
  /** What is in the current chunk is to be written although it is not full. */
  #due = false;
  #timer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  /**
   * @param flushMs how long a line may wait for others
   * @param retryMs time between tries while writing fails
   */
  constructor(handle: AuditSink, flushMs: number, retryMs: number, events: WriterEvents) {
    this.#handle = handle;
    this.#flushMs = flushMs;
    this.#retryMs = retryMs;
    this.#events = events;
  }

  /** Memory that lines hold which are not in the file: what remains of full chunks counts as full. */
  get backlogBytes(): number {
    return this.#full.length * CHUNK_BYTES + this.#current.used;
  }

  /** Where a line of at most `bytes` (not more than a chunk has) is to be appended; `added` is to follow. */
  chunkFor(bytes: number): AuditChunk {
    if (this.#current.room < bytes) {
      this.#seal();
      this.#run();
    }
    return this.#current;
  }

  /** A line is in the chunk. */
  added(): void {
    if (this.#timer === undefined && !this.#failing && !this.#closed) this.#startTimer();
  }

  /**
   * Writes to another file as soon as the write in flight is done, and closes the old one. A line that is partly in the old
   * file goes whole into the new one. Where writing failed it is tried at once.
   */
  async replace(handle: AuditSink): Promise<void> {
    const old = await new Promise<AuditSink>((resolve) => {
      this.#replacements.push({ handle, resolve });
      if (this.#running !== undefined) return;
      this.#takeReplacements();
      if (this.#failing) this.#run();
    });
    await old.close().catch(() => undefined);
  }

  /** Writes what there is, with one more try where writing fails, and closes the file. @returns events that were not written */
  async close(): Promise<number> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
    do {
      this.#due = true;
      this.#run();
      await this.#running;
    } while (this.backlogBytes > 0 && !this.#failing);
    await this.#handle.close().catch(() => undefined);
    return [...this.#full, this.#current].reduce((sum, { events }) => sum + events, 0);
  }

  /** On its own, as a function with a closure in it allocates for that on each call, whether it comes to it or not. */
  #startTimer(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#due = true;
      this.#run();
    }, this.#flushMs);
  }

  #takeReplacements(): boolean {
    const replacements = this.#replacements.splice(0);
    for (const { handle, resolve } of replacements) {
      resolve(this.#handle);
      this.#handle = handle;
      this.#full[0]?.rewindToLineStart();
    }
    return replacements.length > 0;
  }

  #seal(): void {
    this.#full.push(this.#current);
    this.#current = this.#spare.pop() ?? new AuditChunk();
    this.#due = false;
  }

  #run(): void {
    if (this.#running !== undefined) return;
    clearTimeout(this.#retryTimer);
    this.#running = this.#writeAll().then(() => {
      this.#running = undefined;
      const replaced = this.#takeReplacements();
      if (this.#closed) return;
      if (!this.#failing) this.#afterSuccess();
      else if (replaced) this.#run();
      else this.#retryTimer = setTimeout(() => { this.#run(); }, this.#retryMs).unref();
    });
  }

  /** Lines may have come while the last write was in flight. */
  #afterSuccess(): void {
    if (this.#full.length > 0) this.#run();
    else if (this.#current.used > 0) this.added();
  }

  /** Never rejects. */
  async #writeAll(): Promise<void> {
    try {
      while (this.#full.length > 0 || ((this.#due || this.#failing) && this.#current.used > 0)) {
        this.#takeReplacements();
        if (this.#full.length === 0) this.#seal();
        await this.#write(this.#full[0]!);
        this.#failing = false;
        this.#finish(this.#full.shift()!);
      }
    } catch (error) {
      this.#failing = true;
      this.#events.onFailure(error);
    }
  }

  #finish(chunk: AuditChunk): void {
    const { events } = chunk;
    chunk.clear();
    if (this.#spare.length < MOST_SPARE_CHUNKS) this.#spare.push(chunk);
    this.#events.onWritten(events);
  }

  /** A full disk takes a part of a write first: it goes on where that ended. */
  async #write(chunk: AuditChunk): Promise<void> {
    while (chunk.written < chunk.used) {
      const { bytesWritten } = await this.#handle.write(chunk.bytes, chunk.written, chunk.used - chunk.written, null);
      if (bytesWritten === 0) throw new Error("the file takes no more bytes");
      chunk.written += bytesWritten;
    }
  }
}
