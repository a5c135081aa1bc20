const FIRST_MS = 100;
const LONGEST_MS = 10_000;
/** A worker that has lived so long was well: its end says nothing about the next one's. */
const WELL_MS = 30_000;

/** How long a worker's place stays empty when it has died: soon after a first death, longer where one dies after the other. */
export class BackOff {
  #deaths = 0;

  /**
   * Books a death.
   * @param livedMs how long the worker was there
   * @returns milliseconds until it is to be replaced: 100, and twice as many for each further death in a row, 10000 at most
   */
  next(livedMs: number): number {
    this.#deaths = livedMs >= WELL_MS ? 1 : this.#deaths + 1;
    return Math.min(FIRST_MS * 2 ** (this.#deaths - 1), LONGEST_MS);
  }
}
