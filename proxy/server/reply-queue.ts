import type { Exchange } from "../cluster/exchange.ts";
import type { Outbox } from "../cluster/outbox.ts";
import { sharedCopies } from "../cluster/shared-copies.ts";
import { EMPTY } from "../resp/bytes.ts";
import { ReplyScanner } from "../resp/reply-scanner.ts";

/** Held replies smaller than this are copied, so that they do not keep a whole chunk of a node's socket in memory. */
const COPY_BELOW = 4_096;

/**
 * What the proxy owes one client: replies in the order of the requests, whatever order the nodes answer in. Replies to the
 * oldest requests pass straight to the client's outbox; those that come early are held.
 */
export class ReplyQueue {
  /** Requests without a whole reply handed on. */
  requests = 0;
  /** Bytes of the requests that are owed a reply. */
  requestBytes = 0;
  /** Bytes held because replies before them have not come. */
  heldBytes = 0;

  readonly #outbox: Outbox;
  readonly #onDone: (exchange: Exchange) => void;
  #head: Exchange | undefined;
  #tail: Exchange | undefined;
  /** Where the requests lie that were answered last. */
  #lastBytes: Buffer | undefined;

  /** @param onDone called for each exchange whose last reply was handed to the outbox, in order */
  constructor(outbox: Outbox, onDone: (exchange: Exchange) => void) {
    this.#outbox = outbox;
    this.#onDone = onDone;
  }

  /** True while requests that came with ones already answered, in one piece, are still owed: their replies will mostly be here in a moment. */
  get midway(): boolean {
    return this.#head !== undefined && (this.#head.bytes === this.#lastBytes || this.#head.answered > 0);
  }

  get empty(): boolean {
    return this.#head === undefined;
  }

  /** What is owed, oldest first; only to be looked at. */
  *owed(): Iterable<Exchange> {
    for (let exchange = this.#head; exchange !== undefined; exchange = exchange.nextForClient) yield exchange;
  }

  /** Adds the newest requests. */
  push(exchange: Exchange): void {
    this.requests += exchange.count;
    this.requestBytes += exchange.end - exchange.start;
    if (this.#tail === undefined) this.#head = exchange;
    else this.#tail.nextForClient = exchange;
    this.#tail = exchange;
  }

  /** Puts `inserted` behind `exchange`, in place of requests cut off it: the number owed stays the same. */
  insertBehind(exchange: Exchange, inserted: Exchange): void {
    this.requestBytes += inserted.end - inserted.start;
    inserted.nextForClient = exchange.nextForClient;
    exchange.nextForClient = inserted;
    if (this.#tail === exchange) this.#tail = inserted;
  }

  /** Bytes of replies to `exchange`, whose `answered` counts those that are whole by now. */
  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number): void {
    if (exchange === this.#head) {
      this.#outbox.append(bytes, start, end);
    } else {
      this.heldBytes += end - start;
      hold(exchange, bytes, start, end);
    }
    this.settle();
  }

  /**
   * Forgets the part of a reply that was handed on before its connection was lost.
   *
   * @returns false where it is at the client already
   */
  dropTorn(exchange: Exchange): boolean {
    if (exchange === this.#head) return false;
    const { held = EMPTY, heldStart, heldEnd, heldMore = [] } = exchange;
    const bytes = Buffer.concat([held.subarray(heldStart, heldEnd), ...heldMore]);
    const scanner = new ReplyScanner();
    let end = 0;
    for (let i = 0; i < exchange.answered; i++) end = scanner.scan(bytes, end, bytes.length);
    this.heldBytes -= bytes.length - end;
    exchange.held = bytes;
    exchange.heldStart = 0;
    exchange.heldEnd = end;
    exchange.heldMore = undefined;
    return true;
  }

  /** Moves on from exchanges at the head that are done. To be called when one is done without a delivery, too. */
  settle(): void {
    while (this.#head?.done === true) {
      const done: Exchange = this.#head;
      this.#head = done.nextForClient;
      done.nextForClient = undefined;
      if (this.#head === undefined) {
        this.#tail = this.#lastBytes = undefined;
      } else {
        this.#lastBytes = done.bytes;
        this.#release(this.#head);
      }
      this.requests -= done.count;
      this.requestBytes -= done.end - done.start;
      this.#onDone(done);
    }
  }

  /** The client has gone: nothing more is owed. Each exchange that is still there is told to `onDone` as it stands. */
  abandon(): void {
    let exchange = this.#head;
    this.#head = this.#tail = undefined;
    this.requests = this.requestBytes = this.heldBytes = 0;
    while (exchange !== undefined) {
      const next: Exchange | undefined = exchange.nextForClient;
      exchange.nextForClient = undefined;
      exchange.held = exchange.heldMore = undefined;
      this.#onDone(exchange);
      exchange = next;
    }
  }

  #release(exchange: Exchange): void {
    if (exchange.held === undefined) return;
    this.heldBytes -= exchange.heldEnd - exchange.heldStart;
    this.#outbox.append(exchange.held, exchange.heldStart, exchange.heldEnd);
    for (const piece of exchange.heldMore ?? []) {
      this.heldBytes -= piece.length;
      this.#outbox.append(piece, 0, piece.length);
    }
    exchange.held = exchange.heldMore = undefined;
  }
}

/** Keeps `bytes[start, end)` with the exchange, behind what it holds. */
function hold(exchange: Exchange, bytes: Buffer, start: number, end: number): void {
  let piece = bytes;
  let from = start;
  if (end - start < COPY_BELOW) {
    from = sharedCopies.add(bytes, start, end);
    piece = sharedCopies.slab;
  }
  const to = from + end - start;
  if (exchange.held === undefined) {
    exchange.held = piece;
    exchange.heldStart = from;
    exchange.heldEnd = to;
  } else {
    (exchange.heldMore ??= []).push(piece.subarray(from, to));
  }
}
