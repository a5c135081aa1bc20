import { EMPTY } from "../resp/bytes.ts";
import type { WriteTarget } from "./sliced-writes.ts";

let waiting: Outbox[] = [];
let late: Outbox[] = [];

/**
 * Has the outbox flushed once, when all sockets that were readable in this turn of the event loop have been read: so the small
 * requests of many clients leave in one write a node, and the replies of many requests in one write a client.
 */
function flushAtEndOfTurn(outbox: Outbox): void {
  if (waiting.push(outbox) === 1) setImmediate(endTurn);
}

function endTurn(): void {
  const ended = waiting;
  waiting = [];
  for (const outbox of ended) outbox.endTurn();
}

/** What was held back longest has waited `HELD_BACK_MS` when this is called. */
function flushLate(): void {
  const flushed = late;
  late = [];
  for (const outbox of flushed) outbox.flush();
}

/** Pieces of at least so many bytes are written as they are; smaller ones are copied together. */
const COPY_BELOW = 16_384;
/** Milliseconds that bytes are held back at most while more is about to follow, and bytes from which on they are not. */
const HELD_BACK_MS = 1;
const HELD_BACK_BYTES = 16_384;
/** Places for pieces that are kept for the next turn. */
const MOST_KEPT_PLACES = 64;
const NEVER = (): boolean => false;

/** Collects pieces of buffers for one socket during a turn of the event loop, and writes them at its end. */
export class Outbox {
  /** Bytes collected since the last flush. */
  length = 0;

  readonly #socket: WriteTarget;
  readonly #onFlush: () => void;
  readonly #moreToCome: () => boolean;
  /** The first `#count` are collected; with their ranges two by two. Both are used again and again: they would be most of what a request allocates. */
  #pieces: Buffer[] = [];
  #ranges: number[] = [];
  #count = 0;
  #corked = false;
  #scheduled = false;
  #late = false;

  /**
   * @param onFlush called after the collected bytes were handed to the socket
   * @param moreToCome asked at the end of a turn: whether the bytes had better wait, for a millisecond at most, for those that
   * are on their way, as a write costs much more than the bytes in it
   */
  constructor(socket: WriteTarget, onFlush: () => void, moreToCome = NEVER) {
    this.#socket = socket;
    this.#onFlush = onFlush;
    this.#moreToCome = moreToCome;
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
    const count = this.#count;
    if (count > 0 && this.#pieces[count - 1] === piece && this.#ranges[2 * count - 1] === start) {
      this.#ranges[2 * count - 1] = end;
    } else {
      this.#pieces[count] = piece;
      this.#ranges[2 * count] = start;
      this.#ranges[2 * count + 1] = end;
      this.#count++;
    }
    if (!this.#scheduled) this.#schedule();
  }

  /** Called at the end of each turn in which bytes were added. */
  endTurn(): void {
    this.#scheduled = false;
    if (this.length >= HELD_BACK_BYTES || !this.#moreToCome()) {
      this.flush();
      return;
    }
    if (this.#late) return;
    this.#late = true;
    if (late.push(this) === 1) setTimeout(flushLate, HELD_BACK_MS);
  }

  /** Hands all that is collected to the socket now. */
  flush(): void {
    this.#late = false;
    if (this.#corked || this.length === 0) return;
    if (this.#socket.writable) writePieces(this.#socket, this.#pieces, this.#ranges, this.#count, this.length);
    this.clear();
    this.#onFlush();
  }

  /** Forgets what is collected. */
  clear(): void {
    this.length = 0;
    if (this.#count > MOST_KEPT_PLACES) {
      this.#pieces = [];
      this.#ranges = [];
    } else this.#pieces.fill(EMPTY, 0, this.#count);
    this.#count = 0;
  }

  #schedule(): void {
    if (this.#scheduled || this.#corked || this.length === 0) return;
    this.#scheduled = true;
    flushAtEndOfTurn(this);
  }
}

function writePieces(socket: WriteTarget, pieces: readonly Buffer[], ranges: readonly number[], count: number, length: number): void {
  if (count === 1) {
    socket.write(pieces[0]!.subarray(ranges[0], ranges[1]));
    return;
  }
  if (length < COPY_BELOW) {
    socket.write(join(pieces, ranges, 0, count, length));
    return;
  }
  socket.cork();
  let small = 0;
  let smallBytes = 0;
  for (let i = 0; i < count; i++) {
    const bytes = ranges[2 * i + 1]! - ranges[2 * i]!;
    if (bytes < COPY_BELOW) {
      small++;
      smallBytes += bytes;
      continue;
    }
    if (small > 0) socket.write(join(pieces, ranges, i - small, i, smallBytes));
    small = smallBytes = 0;
    socket.write(pieces[i]!.subarray(ranges[2 * i], ranges[2 * i + 1]));
  }
  if (small > 0) socket.write(join(pieces, ranges, count - small, count, smallBytes));
  socket.uncork();
}

function join(pieces: readonly Buffer[], ranges: readonly number[], from: number, to: number, bytes: number): Buffer {
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (let i = from; i < to; i++) at += pieces[i]!.copy(joined, at, ranges[2 * i], ranges[2 * i + 1]);
  return joined;
}
