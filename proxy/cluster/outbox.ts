import type { Writable } from "node:stream";

/** Something that holds bytes back until the event loop's turn is over. */
interface Flushable {
  flush(): void;
}

let waiting: Flushable[] = [];

/**
 * Has `flush` called once, when all sockets that were readable in this turn of the event loop have been read: so the small
 * requests of many clients leave in one write a node, and the replies of many requests in one write a client.
 */
function flushAtEndOfTurn(outbox: Flushable): void {
  if (waiting.push(outbox) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const flushed = waiting;
  waiting = [];
  for (const outbox of flushed) outbox.flush();
}

/** Pieces of at least so many bytes are written as they are; smaller ones are copied together. */
const COPY_BELOW = 16_384;

/** Collects pieces of buffers for one socket during a turn of the event loop, and writes them at its end. */
export class Outbox {
  /** Bytes collected since the last flush. */
  length = 0;

  readonly #socket: Writable;
  readonly #onFlush: () => void;
  #pieces: Buffer[] = [];
  #ranges: number[] = [];
  #corked = false;
  #scheduled = false;

  /** @param onFlush called after the collected bytes were handed to the socket */
  constructor(socket: Writable, onFlush: () => void) {
    this.#socket = socket;
    this.#onFlush = onFlush;
  }

  /** While held, bytes are collected and nothing is written. */
  set held(held: boolean) {
    this.#corked = held;
    if (!held) this.#schedule();
  }

  /** Adds `piece[start, end)`, which must not change until it is flushed. */
  append(piece: Buffer, start: number, end: number): void {
    if (end <= start) return;
    this.length += end - start;
    const last = this.#pieces.length - 1;
    if (last >= 0 && this.#pieces[last] === piece && this.#ranges[2 * last + 1] === start) {
      this.#ranges[2 * last + 1] = end;
    } else {
      this.#pieces.push(piece);
      this.#ranges.push(start, end);
    }
    this.#schedule();
  }

  /** Hands all that is collected to the socket now. */
  flush(): void {
    this.#scheduled = false;
    if (this.#corked || this.length === 0) return;
    const pieces = this.#pieces;
    const ranges = this.#ranges;
    this.#pieces = [];
    this.#ranges = [];
    this.length = 0;
    if (this.#socket.writable) writePieces(this.#socket, pieces, ranges);
    this.#onFlush();
  }

  /** Forgets what is collected: the socket is gone. */
  clear(): void {
    this.#pieces = [];
    this.#ranges = [];
    this.length = 0;
  }

  #schedule(): void {
    if (this.#scheduled || this.#corked || this.length === 0) return;
    this.#scheduled = true;
    flushAtEndOfTurn(this);
  }
}

function writePieces(socket: Writable, pieces: Buffer[], ranges: number[]): void {
  if (pieces.length === 1) {
    socket.write(pieces[0]!.subarray(ranges[0], ranges[1]));
    return;
  }
  socket.cork();
  let small = 0;
  let smallBytes = 0;
  for (let i = 0; i < pieces.length; i++) {
    const length = ranges[2 * i + 1]! - ranges[2 * i]!;
    if (length < COPY_BELOW) {
      small++;
      smallBytes += length;
      continue;
    }
    if (small > 0) socket.write(join(pieces, ranges, i - small, i, smallBytes));
    small = smallBytes = 0;
    socket.write(pieces[i]!.subarray(ranges[2 * i], ranges[2 * i + 1]));
  }
  if (small > 0) socket.write(join(pieces, ranges, pieces.length - small, pieces.length, smallBytes));
  socket.uncork();
}

function join(pieces: Buffer[], ranges: number[], from: number, to: number, bytes: number): Buffer {
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (let i = from; i < to; i++) at += pieces[i]!.copy(joined, at, ranges[2 * i], ranges[2 * i + 1]);
  return joined;
}
