import type { Enter, Order } from "../cluster/delivery.ts";
import type { Exchange } from "../cluster/exchange.ts";
import { FrameReader } from "../resp/frame-reader.ts";

/** What a request touches. */
export interface Touched {
  /** Whether it changes nothing. */
  readonly readonly: boolean;
  /** One character a byte. */
  readonly keys: readonly string[];
}

interface Waiting {
  readonly request: Buffer;
  readonly enter: Enter;
  /** By the clock of its client's requests. */
  readonly since: number;
}

/**
 * Requests of one client that must be sent again, one after the other, so that they keep their order. The first begins when no
 * request is under way any more that was sent before it showed: only then is it known which of those behind it were executed.
 */
export class Turns implements Order {
  readonly #onBegin: () => void;
  readonly #onEnd: () => void;
  readonly #busy: () => boolean;
  readonly #touchedBy: (request: FrameReader) => Touched;
  readonly #reader = new FrameReader();
  #waiting: Waiting[] = [];
  #underWay = false;
  #looping = false;
  #soon = false;
  /** Nothing is under way that was sent as it came, and nothing will be before all are answered. */
  #quiet = false;
  /** Counts requests that begin to wait, and those that were executed meanwhile. */
  #clock = 0;
  /** When each key was last read and written. */
  readonly #read = new Map<string, number>();
  readonly #written = new Map<string, number>();

  /**
   * @param onBegin called for each request that begins to wait; no other is then sent before all are answered
   * @param onEnd called for each that is answered
   * @param busy whether requests are under way that do not wait for their turn; `settled` is to be called when that may be over
   * @param touchedBy reads off a request what it touches
   */
  constructor(onBegin: () => void, onEnd: () => void, busy: () => boolean, touchedBy: (request: FrameReader) => Touched) {
    this.#touchedBy = touchedBy;
    this.#onBegin = onBegin;
    this.#onEnd = onEnd;
    this.#busy = busy;
  }

  take(request: Buffer, enter: Enter): void {
    this.#onBegin();
    this.#waiting.push({ request, enter, since: ++this.#clock });
    this.settled();
  }

  executed(bytes: Buffer, start: number): void {
    if (!this.#waits) return;
    this.#reader.read(bytes, start);
    const { readonly, keys } = this.#touchedBy(this.#reader);
    const at = ++this.#clock;
    for (const key of keys) (readonly ? this.#read : this.#written).set(key, at);
  }

  answered(exchange: Exchange, count: number): void {
    if (!this.#waits) return;
    let at = exchange.start;
    for (let i = 0; i < exchange.answered; i++) {
      if (i >= exchange.answered - count) this.executed(exchange.bytes, at);
      at = this.#reader.read(exchange.bytes, at);
    }
    if (exchange.done) this.settled();
  }

  /** Forgets who waits: the client has gone. */
  clear(): void {
    this.#waiting = [];
  }

  /** What was under way may be answered. Looked into once for all that a connection has told in one go: its end, say. */
  settled(): void {
    if (this.#soon || this.#underWay || !this.#waits) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      this.#next();
    });
  }

  /** Lets the next one go on, if nothing is in its way. A loop, not a recursion: of a deep pipeline thousands are settled at once. */
  #next(): void {
    if (this.#looping) return;
    this.#looping = true;
    while (!this.#underWay) {
      const first = this.#waiting[0];
      if (first === undefined || !(this.#quiet ||= !this.#busy())) break;
      this.#waiting.shift();
      this.#underWay = true;
      first.enter(() => {
        this.#underWay = false;
        this.#onEnd();
        this.#next();
      }, this.#isOvertaken(first));
    }
    this.#looping = false;
    if (this.#waits || this.#underWay) return;
    this.#quiet = false;
    this.#read.clear();
    this.#written.clear();
  }

  /** Whether somebody waits who could be overtaken. */
  get #waits(): boolean {
    return this.#waiting.length > 0;
  }

  #isOvertaken({ request, since }: Waiting): boolean {
    if (this.#written.size + this.#read.size === 0) return false;
    this.#reader.read(request, 0);
    const { readonly, keys } = this.#touchedBy(this.#reader);
    return keys.some((key) => (this.#written.get(key) ?? 0) > since || (!readonly && (this.#read.get(key) ?? 0) > since));
  }
}
