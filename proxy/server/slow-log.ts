import type { Logger } from "./log.ts";

/** Lines a second at most: where everything is slow, one line for each command would make it slower. */
const MOST_LINES = 10;
const SECOND_MS = 1_000;

/** Tells the log of commands that took long: who sent which, never with what. */
export class SlowLog {
  readonly #log: Logger;
  #lines = 0;
  #since = 0;
  #leftOut = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param now in milliseconds of the monotonic clock */
  write(fields: Readonly<Record<string, unknown>>, now: number): void {
    if (now - this.#since >= SECOND_MS) {
      this.#since = now;
      this.#lines = 0;
    }
    if (this.#lines >= MOST_LINES) {
      this.#leftOut++;
      return;
    }
    this.#lines++;
    this.#log.warn("slow command", { ...fields, ...(this.#leftOut > 0 && { leftOut: this.#leftOut }) });
    this.#leftOut = 0;
  }
}
