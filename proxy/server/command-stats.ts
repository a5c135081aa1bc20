import { LatencyHistogram } from "../cluster/latency-histogram.ts";

/** Error words that are counted by name; a script can make up any number of them. */
const MOST_WORDS = 64;
const OTHER_WORD = "other";

/** What the clients of one database have asked, and what became of it. */
export class CommandStats {
  /** By the command's name, of a container the subcommand's (`config|set`). */
  readonly latencies = new Map<string, LatencyHistogram>();
  /** Error replies, by their first word. */
  readonly errors = new Map<string, number>();
  /** Clients repeat themselves: looked at before the map. */
  #lastName: string | undefined;
  #last: LatencyHistogram | undefined;

  /** Books one command that was answered after `ms` milliseconds. */
  book(name: string, ms: number): void {
    if (name !== this.#lastName || this.#last === undefined) {
      this.#lastName = name;
      this.#last = this.latencies.get(name);
      if (this.#last === undefined) this.latencies.set(name, (this.#last = new LatencyHistogram()));
    }
    this.#last.observe(ms);
  }

  /** Books an error reply. */
  bookError(word: string): void {
    const known = this.errors.has(word) || this.errors.size < MOST_WORDS ? word : OTHER_WORD;
    this.errors.set(known, (this.errors.get(known) ?? 0) + 1);
  }
}
