/**
 * Whoever asks while the same look is going on shares it: an environment asks for a dozen ports at once. What such a look has
 * missed is found by the next one.
 */
export class SharedLooks<T> {
  readonly #underWay = new Map<string, Promise<T>>();

  /** The result of the look that is going on under this name, or of a new one. */
  share(what: string, look: () => Promise<T>): Promise<T> {
    const shared = this.#underWay.get(what);
    if (shared !== undefined) return shared;
    const begun = look().finally(() => this.#underWay.delete(what));
    this.#underWay.set(what, begun);
    return begun;
  }
}
