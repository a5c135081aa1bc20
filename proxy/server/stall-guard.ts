import type { Socket } from "node:net";

/** What happens where a client does not read its replies. */
export interface StallEvents {
  /** No further request is to be taken. */
  readonly onStall: () => void;
  /** It has read them. */
  readonly onRelief: () => void;
  /** It has not, for as long as it may take. */
  readonly onGivenUp: () => void;
}

/**
 * So many times the bound may be owed at once, beside one reply of any size: requests that were under way when the first large
 * reply came cannot be called back.
 */
const MOST_TIMES = 8;

/** Watches what a client leaves unread: above a bound it is held back, and after a time, or far above it, given up. */
export class StallGuard {
  readonly #socket: Socket;
  readonly #limits: { readonly maxClientOutputBytes: number; readonly clientStallMs: number };
  readonly #events: StallEvents;
  readonly #held: () => number;
  #timer: NodeJS.Timeout | undefined;
  /** Bytes of the largest reply since all was read. */
  #largest = 0;

  /** @param held bytes of replies that wait in the proxy for those before them */
  constructor(socket: Socket, limits: { readonly maxClientOutputBytes: number; readonly clientStallMs: number }, held: () => number, events: StallEvents) {
    this.#socket = socket;
    this.#limits = limits;
    this.#held = held;
    this.#events = events;
    socket.on("drain", () => {
      this.#largest = 0;
      if (this.#timer === undefined) return;
      this.stop();
      events.onRelief();
    });
  }

  /** Whether the client is held back. */
  get stalled(): boolean {
    return this.#timer !== undefined;
  }

  /** To be called for each reply, with what has come of it so far: however large it is, it may be owed. */
  note(replyBytes: number): void {
    if (replyBytes > this.#largest) this.#largest = replyBytes;
  }

  /** To be called when bytes were written, or have come to be held. */
  check(): void {
    const { maxClientOutputBytes, clientStallMs } = this.#limits;
    if (this.#socket.destroyed) return;
    if (this.#socket.writableLength + this.#held() > MOST_TIMES * maxClientOutputBytes + this.#largest) {
      this.stop();
      this.#events.onGivenUp();
      return;
    }
    if (this.#timer !== undefined || this.#socket.writableLength < maxClientOutputBytes) return;
    this.#socket.pause();
    this.#timer = setTimeout(this.#events.onGivenUp, clientStallMs);
    this.#events.onStall();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
