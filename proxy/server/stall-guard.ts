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

/** Watches what a client leaves unread: above a bound it is held back, and after a time given up. */
export class StallGuard {
  readonly #socket: Socket;
  readonly #limits: { readonly maxClientOutputBytes: number; readonly clientStallMs: number };
  readonly #events: StallEvents;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, limits: { readonly maxClientOutputBytes: number; readonly clientStallMs: number }, events: StallEvents) {
    this.#socket = socket;
    this.#limits = limits;
    this.#events = events;
    socket.on("drain", () => {
      if (this.#timer === undefined) return;
      this.stop();
      events.onRelief();
    });
  }

  /** Whether the client is held back. */
  get stalled(): boolean {
    return this.#timer !== undefined;
  }

  /** To be called when bytes were written. */
  check(): void {
    if (this.#timer !== undefined || this.#socket.destroyed || this.#socket.writableLength < this.#limits.maxClientOutputBytes) return;
    this.#socket.pause();
    this.#timer = setTimeout(this.#events.onGivenUp, this.#limits.clientStallMs);
    this.#events.onStall();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
