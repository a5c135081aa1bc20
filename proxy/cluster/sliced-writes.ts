import type { Writable } from "node:stream";

/** What an Outbox writes to. */
export type WriteTarget = Pick<Writable, "writable" | "write" | "cork" | "uncork">;

/** A larger piece is written so many bytes at a time. */
const SLICE_BYTES = 262_144;

/**
 * Hands a socket no more of a large piece than it can send: a TLS socket encrypts at once all that it is given, and of a value of
 * 512 MB would hold that much again. Order is kept; small pieces pass at once where no large one is under way.
 */
export class SlicedWrites implements WriteTarget {
  readonly #socket: Writable;
  /** What is not written yet, the first piece from `#from` on. */
  #waiting: Buffer[] = [];
  #from = 0;

  constructor(socket: Writable) {
    this.#socket = socket;
    socket.on("drain", () => {
      this.#pump();
    });
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  write(bytes: Buffer): boolean {
    if (this.#waiting.length === 0 && bytes.length <= SLICE_BYTES) return this.#socket.write(bytes);
    // Where another is before it, the "drain" that goes on with that comes to this one, too.
    if (this.#waiting.push(bytes) === 1) this.#pump();
    return false;
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  #pump(): void {
    while (this.#waiting.length > 0) {
      const piece = this.#waiting[0]!;
      const slice = piece.subarray(this.#from, this.#from + SLICE_BYTES);
      this.#from += slice.length;
      if (this.#from >= piece.length) {
        this.#waiting.shift();
        this.#from = 0;
      }
      if (!this.#socket.write(slice)) return;
    }
  }
}
