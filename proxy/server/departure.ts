/**
 * A client that has come, or asked for something, within so long is served for as long more: who connects, logs in, asks a few
 * times and leaves notices nothing.
 */
const VISIT_MS = 3_000;
/** A client that never pauses is served for so long more; then no further request of it is taken but one that has begun to come. */
const LAST_REQUESTS_MS = 2_000;
/** How long the end of a command that waits in Redis may take: what was popped for the client must not be lost on the way. */
const RECALL_MS = 2_000;

/** What a session that is to end looks like. */
export interface DepartureHost {
  /** When the client came or last asked for something, in milliseconds of the monotonic clock. */
  readonly activeAt: () => number;
  /** Whether a command of the client waits in Redis: that may last for ever. */
  readonly waits: () => boolean;
  /** Whether the client is subscribed. */
  readonly listens: () => boolean;
  /** Whether an answer is owed to what was taken from the client. */
  readonly owes: () => boolean;
  /** Whether the client has sent what was not taken yet. */
  readonly asked: () => boolean;
  /** Ends the command that waits in Redis: it is answered all the same, or the session ends. */
  readonly recall: () => void;
  /** Ends the session. */
  readonly finish: () => void;
}

/**
 * How sessions end whose time has come: one in a turn of the event loop, behind the reading of what clients have sent. Many ends
 * take so long that a client could ask before its own comes, and would have no answer.
 */
const ending = new Set<() => void>();

function endNext(): void {
  const [end] = ending;
  if (end === undefined) return;
  ending.delete(end);
  end();
  if (ending.size > 0) setImmediate(endNext);
}

/** How a session ends that the proxy wants to end: at a moment at which its client misses nothing, as far as there is one. */
export class Departure {
  readonly #host: DepartureHost;
  /** Whether no further request is taken. What is owed is still written. */
  closing = false;
  /** One more request is taken: the one that has begun to come, however long the rest of it takes. */
  last = false;
  /** The command that waited in Redis was ended. */
  recalled = false;
  /** The end was asked for. */
  #due = false;
  /** It comes at the first moment at which the client is owed nothing. */
  #draining = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(host: DepartureHost) {
    this.#host = host;
  }

  /** Whether nothing may be begun that may last. */
  get near(): boolean {
    return this.closing || this.#due;
  }

  /**
   * Has the session end as soon as its client has an answer to all that it has sent: at once, where it has asked for nothing of
   * late, waits or is subscribed.
   */
  drain(): void {
    if (this.near) return;
    this.#due = true;
    const { waits, listens, activeAt } = this.#host;
    if (waits() || listens() || performance.now() - activeAt() > VISIT_MS) this.#drainSoon();
    else this.#after(VISIT_MS, () => { this.#drainSoon(); });
  }

  /** Has the session end as soon as its client has an answer to all that was taken from it. */
  leave(): void {
    this.closing = true;
    this.check();
  }

  /** Ends the session if the moment has come. To be called whenever something was answered. */
  check(): void {
    if (!this.closing && !this.#draining) return;
    const { waits, owes, asked, finish } = this.#host;
    if (waits()) this.#recall();
    else if (!(owes() || (!this.closing && asked()))) finish();
  }

  /** The session has ended. */
  stop(): void {
    clearTimeout(this.#timer);
    ending.delete(this.#drainNow);
  }

  #drainSoon(): void {
    ending.add(this.#drainNow);
    if (ending.size === 1) setImmediate(endNext);
  }

  readonly #drainNow = (): void => {
    this.#draining = true;
    this.#after(LAST_REQUESTS_MS, () => {
      if (this.#host.asked()) this.last = true;
      else this.leave();
    });
    this.check();
  };

  #recall(): void {
    if (this.recalled) return;
    this.recalled = this.closing = true;
    // A node that hangs neither answers nor lets go.
    this.#after(RECALL_MS, this.#host.finish);
    this.#host.recall();
  }

  #after(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }
}
