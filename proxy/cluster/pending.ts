/** Things that are begun and not yet done, for those who are to come behind them. */
export class Pending {
  readonly #begun = new Set<Promise<undefined>>();

  /** One more is begun. @returns what tells that it is done; told again, it does nothing */
  begin(): () => void {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#begun.add(promise);
    return () => {
      this.#begun.delete(promise);
      resolve(undefined);
    };
  }

  /** When all that are begun now will be done; undefined where none is. */
  done(): Promise<unknown> | undefined {
    return this.#begun.size === 0 ? undefined : Promise.all(this.#begun);
  }
}
