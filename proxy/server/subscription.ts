import { Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import { ReplyScanner } from "../resp/reply-scanner.ts";
import type { Request } from "../resp/request-parser.ts";
import { argument } from "../routing/keys.ts";

/** What a subscription tells its session. */
export interface SubscriptionEvents {
  /** A whole reply or message for the client. */
  readonly write: (bytes: Buffer) => void;
  /** The last channel is gone and nothing is owed: the session is an ordinary one again. */
  readonly onOver: () => void;
  /** The node has gone. */
  readonly onLost: () => void;
}

/** A request whose replies are awaited, or an answer of the proxy's own that must not overtake them. */
type Owed = { readonly kind: "replies"; left: number; readonly all?: string } | { readonly kind: "answer"; readonly reply: Buffer };

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
  #over = false;

  /** @param first the request that begins it; it is sent at once */
  constructor(connection: UpstreamConnection, first: Request, events: SubscriptionEvents) {
    this.#connection = connection;
    this.#events = events;
    this.#expect(first);
    connection.send(new Exchange(this, first.frame, first.start, first.end, Infinity, performance.now()));
  }

  /** Sends one more request of the client. */
  forward(request: Request): void {
    this.#expect(request);
    this.#connection.write(request.frame, request.start, request.end);
  }

  /** Has `reply` written when all that is owed before it has been. */
  answer(reply: Buffer): void {
    this.#owed.push({ kind: "answer", reply });
    this.#writeAnswers();
  }

  /** Ends it; nothing is written any more. */
  close(): void {
    this.#over = true;
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

  #expect(request: Request): void {
    const name = argument(request, 0).toString("latin1").toLowerCase();
    const all = /^([ps]?)unsubscribe$/.exec(name);
    const many = /^[ps]?(un)?subscribe$/.test(name) && request.argc > 1;
    this.#owed.push(all !== null && !many ? { kind: "replies", left: 0, all: all[1]! } : { kind: "replies", left: many ? request.argc - 1 : 1 });
    this.#countAll();
  }

  /** UNSUBSCRIBE without names owes one reply a name, or one: known when all before it is answered. */
  #countAll(): void {
    const head = this.#owed[0];
    if (head?.kind === "replies" && head.all !== undefined && head.left === 0) {
      head.left = Math.max(1, this.#names.get(head.all)!.size);
    }
  }

  #take(reply: Buffer): void {
    this.#events.write(reply);
    const kind = KIND.exec(reply.toString("latin1", 0, 40))?.[1];
    if (kind === "message" || kind === "pmessage" || kind === "smessage") return;
    if (kind !== undefined) this.#book(kind, reply);
    const head = this.#owed[0];
    if (head?.kind !== "replies" || --head.left > 0) return;
    this.#owed.shift();
    this.#writeAnswers();
    this.#countAll();
    if (this.#owed.length > 0 || [...this.#names.values()].some((names) => names.size > 0)) return;
    this.close();
    this.#events.onOver();
  }

  #writeAnswers(): void {
    while (this.#owed[0]?.kind === "answer") this.#events.write((this.#owed.shift() as { reply: Buffer }).reply);
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
