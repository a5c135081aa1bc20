/** What a client knows of a command's fate: answered, not executed, or nobody can tell. */
export type Outcome = "done" | "refused" | "unknown";

/** One read or write of a single key by one client; times are milliseconds of the monotonic clock. */
export interface Operation {
  readonly client: number;
  readonly key: string;
  readonly kind: "read" | "write";
  /** What was written, or what was read; null where there was nothing. */
  readonly value: string | null;
  readonly invokedAt: number;
  readonly respondedAt: number;
  readonly outcome: Outcome;
}

/** One RPUSH of an element that nobody else ever pushes: it tells whether a command ran once. */
export interface Append {
  readonly key: string;
  /** `<client>.<number>`, the number rising with each command of that client. */
  readonly element: string;
  /** The list's length as the reply told it; undefined where none came. */
  readonly length: number | undefined;
  readonly respondedAt: number;
  readonly outcome: Outcome;
}

/** One INCR; `value` is its reply. */
export interface Increment {
  readonly key: string;
  readonly value: number | undefined;
  readonly outcome: Outcome;
}

/** An error that a client was given, or the end of its connection. */
export interface ClientError {
  readonly client: number;
  readonly key: string;
  readonly invokedAt: number;
  readonly respondedAt: number;
  readonly message: string;
}

/** A client read something else than it last wrote to a key that nobody else writes. */
export interface Mismatch {
  readonly client: number;
  readonly key: string;
  readonly expected: readonly (string | null)[];
  readonly found: string | null;
  /** When the newest write among those expected was answered. */
  readonly writtenAt: number;
}

/** All that the clients of one load did and saw. */
export class History {
  readonly operations: Operation[] = [];
  readonly appends: Append[] = [];
  readonly increments: Increment[] = [];
  readonly errors: ClientError[] = [];
  readonly mismatches: Mismatch[] = [];
  /** Replies that fit no request of theirs, in words. */
  readonly misplaced: string[] = [];
  /** Commands that were answered without an error. */
  answered = 0;
  /** The longest time that a client waited without any answer, and the answers that ended a wait of more than 200 ms. */
  longestPauseMs = 0;
  /** How long each answered command took, in milliseconds. */
  readonly latenciesMs: number[] = [];
  readonly #lastAnswer = new Map<number, number>();

  /** What clients have seen, in one line. */
  summary(): string {
    const sorted = Float64Array.from(this.latenciesMs).sort();
    const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
    return `${this.answered} commands, ${this.errors.length} errors, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest pause ${this.longestPauseMs.toFixed(0)} ms`;
  }

  /** Books an answer to `client`, now, for a request made at `invokedAt`. */
  booked(client: number, invokedAt: number, now: number): void {
    this.latenciesMs.push(now - invokedAt);
    this.longestPauseMs = Math.max(this.longestPauseMs, now - Math.max(invokedAt, this.#lastAnswer.get(client) ?? 0));
    this.#lastAnswer.set(client, now);
  }
}

/** Sorts an error by what it says of the command's fate. */
export function outcomeOf(message: string): Outcome {
  return /may have been executed|connection (?:was )?closed|Connection is closed/i.test(message) ? "unknown" : "refused";
}
