/** Room for clients: so many may be there at once, over all that the proxy serves them by. */
export interface Seats {
  /**
   * Takes a seat: the number of the session that has it, unique in the proxy; undefined where all are taken.
   * To be given back by `leave`.
   */
  take(): number | undefined | Promise<number | undefined>;
  leave(): void;
}

/** Counts the seats of one proxy. */
export class SeatCount implements Seats {
  /** How many are taken. */
  taken = 0;
  #lastNumber = 0;
  readonly #most: () => number;

  /** @param most how many there are now; fewer than are taken send nobody away */
  constructor(most: () => number) {
    this.#most = most;
  }

  take(): number | undefined {
    if (this.taken >= this.#most()) return undefined;
    this.taken++;
    return ++this.#lastNumber;
  }

  leave(): void {
    this.taken--;
  }
}
