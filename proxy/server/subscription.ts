import { Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import { ReplyScanner } from "../resp/reply-scanner.ts";
import type { Request } from "../resp/request-parser.ts";
import type { Address } from "../routing/topology.ts";
import { argumentWord } from "../routing/keys.ts";
import { errorWord } from "../resp/error-word.ts";

/** What a subscription tells its session. */
export interface SubscriptionEvents {
  /** A whole reply or message for the client. */
  readonly write: (bytes: Buffer) => void;
  /** The last channel is gone and nothing is owed: the session is an ordinary one again. */
  readonly onOver: () => void;
  /** The node has gone. */
  readonly onLost: () => void;
  /** A request is answered, or will not be any more. */
  readonly onDone: (exchange: Exchange) => void;
}

/** A request whose replies are awaited, or whose answer is the proxy's own and must not overtake those before it. */
interface Owed {
  readonly exchange: Exchange;
  /** Replies of Redis that are missing. */
  left: number;
  /** Where it names no channel, the kind of subscriptions it ends: how many they are shows only when its turn comes. */
  readonly all: string | undefined;
  /** The proxy's own answer. */
  readonly answer: Buffer | undefined;
  /** Called when the replies have come. */
  readonly then: (() => void) | undefined;
}

/** The word in the first element of a subscription's reply, such as `subscribe` or `message`. */
const KIND = /^\*[34]\r\n\$\d+\r\n([a-z]+)\r\n/;

/**
 * The time in which a client has subscriptions (Redis documentation, "Pub/Sub"; RESP2: each confirmation and each message is
 * an array). It has a connection of its own, on which requests go to Redis as they are: Redis itself refuses those that do
 * not belong there. Confirmations are counted, so that answers of the proxy keep their place among them.
 */
export class Subscription implements ReplyTarget {
  readonly #connection: UpstreamConnection;
  readonly #events: SubscriptionEvents;
  readonly #scanner = new ReplyScanner();
  /** Names by kind of subscription: "", "p" and "s" as in `subscribe`, `psubscribe`, `ssubscribe`. */
  readonly #names = new Map<string, Set<string>>([["", new Set()], ["p", new Set()], ["s", new Set()]]);
  #owed: Owed[] = [];
  #partial: Buffer[] = [];
  #onceAnswered: (() => void) | undefined;
  #over = false;

  /** @param first the request that begins it; it is sent at once */
  constructor(connection: UpstreamConnection, first: Request, events: SubscriptionEvents) {
    this.#connection = connection;
    this.#events = events;
    this.#expect(first);
    connection.send(new Exchange(this, first.frame, first.start, first.end, Infinity, performance.now()));
  }

  /**
   * Sends one more request of the client.
   * @param then called when it is answered, after `onOver` where that ends the subscriptions
   */
  forward(request: Request, then?: () => void): void {
    this.#expect(request, then);
    this.#connection.write(request.frame, request.start, request.end);
  }

  /** Has the proxy's own `reply` to a request written when all that is owed before it has been. */
  answer(request: Request, reply: Buffer, refused: boolean): void {
    const exchange = this.#exchangeOf(request);
    exchange.refused = refused;
    this.#owed.push({ exchange, left: 0, all: undefined, answer: reply, then: undefined });
    this.#writeAnswers();
  }

  /** Whose connection it has. */
  get node(): Address {
    return this.#connection.address;
  }

  /** Whether an answer is awaited. */
  get owes(): boolean {
    return this.#owed.length > 0;
  }

  /** Calls `then` when no answer is awaited any more; never, where the node is lost before. For one who asks for nothing meanwhile. */
  onceAnswered(then: () => void): void {
    if (this.owes) this.#onceAnswered = then;
    else then();
  }

  /** Requests whose answers are awaited, oldest first; only to be looked at. */
  *owed(): Iterable<Exchange> {
    for (const { exchange } of this.#owed) yield exchange;
  }

  /** Leaves messages at the node while the client does not read them: Redis has a bound of its own for those that are slow for long. */
  pause(): void {
    this.#connection.pause();
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#connection.resume();
  }

  /** Ends it; nothing is written any more. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    for (const { exchange } of this.#owed) this.#events.onDone(exchange);
    this.#owed = [];
    this.#connection.close("the subscriptions have ended");
  }

  deliver(_exchange: Exchange, bytes: Buffer, start: number, end: number): void {
    let pos = start;
    while (pos < end && !this.#over) {
      const next = this.#scanner.scan(bytes, pos, end);
      this.#partial.push(bytes.subarray(pos, next < 0 ? end : next));
      if (next < 0) return;
      pos = next;
      const reply = this.#partial.length === 1 ? this.#partial[0]! : Buffer.concat(this.#partial);
      this.#partial = [];
      this.#take(reply);
    }
  }

  redirected(_exchange: Exchange, _redirection: unknown, error: Buffer): undefined {
    this.#take(error);
    this.#events.onLost();
  }

  lost(): void {
    if (!this.#over) this.#events.onLost();
  }

  #exchangeOf(request: Request): Exchange {
    return new Exchange(this, request.frame, request.start, request.end, 1, performance.now());
  }

  #expect(request: Request, then?: () => void): void {
    const name = argumentWord(request, 0);
    const all = /^([ps]?)unsubscribe$/.exec(name)?.[1];
    const many = /^[ps]?(un)?subscribe$/.test(name) && request.argc > 1;
    this.#owed.push({
      exchange: this.#exchangeOf(request),
      left: many ? request.argc - 1 : all === undefined ? 1 : 0,
      all: many ? undefined : all,
      answer: undefined,
      then,
    });
    this.#countAll();
  }

  /** UNSUBSCRIBE without names owes one reply a name, or one: known when all before it is answered. */
  #countAll(): void {
    const head = this.#owed[0];
    if (head?.all !== undefined && head.left === 0) head.left = Math.max(1, this.#names.get(head.all)!.size);
  }

  #take(reply: Buffer): void {
    this.#events.write(reply);
    const kind = KIND.exec(reply.toString("latin1", 0, 40))?.[1];
    if (kind === "message" || kind === "pmessage" || kind === "smessage") return;
    if (kind !== undefined) this.#book(kind, reply);
    const head = this.#owed[0];
    if (head === undefined || head.answer !== undefined) return;
    // An error is the answer as a whole, whatever number of channels was named.
    const failure = errorWord(reply);
    if (failure !== undefined) head.exchange.failures = [{ index: 0, word: failure }];
    else if (--head.left > 0) return;
    this.#done();
    this.#writeAnswers();
    this.#countAll();
    if (this.#owed.length === 0 && [...this.#names.values()].every((names) => names.size === 0)) {
      this.close();
      this.#events.onOver();
    }
    head.then?.();
    if (this.owes) return;
    const then = this.#onceAnswered;
    this.#onceAnswered = undefined;
    then?.();
  }

  #done(): void {
    const { exchange } = this.#owed.shift()!;
    exchange.answered = 1;
    this.#events.onDone(exchange);
  }

  #writeAnswers(): void {
    for (let reply = this.#owed[0]?.answer; reply !== undefined; reply = this.#owed[0]?.answer) {
      const failure = errorWord(reply);
      if (failure !== undefined) this.#owed[0]!.exchange.failures = [{ index: 0, word: failure }];
      this.#events.write(reply);
      this.#done();
    }
  }

  #book(kind: string, reply: Buffer): void {
    const match = /^([ps]?)(un)?subscribe$/.exec(kind);
    if (match === null) return;
    const names = this.#names.get(match[1]!)!;
    const name = reply.toString("latin1").split("\r\n").slice(4, -2).join("\r\n");
    if (match[2] === undefined) names.add(name);
    else names.delete(name);
  }
}
