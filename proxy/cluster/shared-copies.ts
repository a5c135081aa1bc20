const SLAB_BYTES = 16_384;

/** Small pieces copied one behind the other into memory that they share, since a buffer of its own for each costs more than the copy. */
class SharedCopies {
  /** Where the last copy lies. */
  slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #used = 0;

  /**
   * Copies `bytes[start, end)`, at most 16384 bytes, into `slab`.
   *
   * @returns where the copy starts in it
   */
  add(bytes: Buffer, start: number, end: number): number {
    const length = end - start;
    if (this.#used + length > SLAB_BYTES) {
      this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    bytes.copy(this.slab, at, start, end);
    this.#used += length;
    return at;
  }
}

/** One for the process. Copies are never written to again; a slab goes when nobody holds a copy in it. */
export const sharedCopies = new SharedCopies();
