import type { Enter } from "../cluster/delivery.ts";

/** Requests of one client that must be sent again, one after the other, so that they keep their order. */
export class Turns {
  readonly #onBegin: () => void;
  readonly #onEnd: () => void;
  #waiting: Enter[] = [];
  #underWay = false;
  #looping = false;

  /**
   * @param onBegin called for each request that begins to wait
   * @param onEnd called for each that is answered
   */
  constructor(onBegin: () => void, onEnd: () => void) {
    this.#onBegin = onBegin;
    this.#onEnd = onEnd;
  }

  /** Has a request go on behind those that came before it. */
  take(enter: Enter): void {
    this.#onBegin();
    this.#waiting.push(enter);
    this.#next();
  }

  /** Forgets who waits: the client has gone. */
  clear(): void {
    this.#waiting = [];
  }

  /** A loop, not a recursion: of a deep pipeline thousands are settled at once. */
  #next(): void {
    if (this.#looping) return;
    this.#looping = true;
    while (!this.#underWay) {
      const enter = this.#waiting.shift();
      if (enter === undefined) break;
      this.#underWay = true;
      enter(() => {
        this.#underWay = false;
        this.#onEnd();
        this.#next();
      });
    }
    this.#looping = false;
  }
}
