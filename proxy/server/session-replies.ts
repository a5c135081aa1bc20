import type { Socket } from "node:net";
import { Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import { Outbox } from "../cluster/outbox.ts";
import { errorWord } from "../resp/error-word.ts";
import { ReplyQueue } from "./reply-queue.ts";
import { ReplyWindow } from "./reply-window.ts";
import type { SessionLimits } from "./session-options.ts";
import { StallGuard } from "./stall-guard.ts";
import type { StallEvents } from "./stall-guard.ts";

/** What a session's replies are made with. */
export interface RepliesOptions extends StallEvents {
  readonly socket: Socket;
  readonly limits: SessionLimits;
  /** Gets the replies that nodes send. */
  readonly target: ReplyTarget;
  /** As of ReplyQueue. */
  readonly onDone: (exchange: Exchange) => void;
}

/**
 * What a session owes its client: a place for each request, the replies in the places' order, and how far the client is with
 * reading them, which says how many more requests may be under way.
 */
export class SessionReplies {
  /** The places. */
  readonly queue: ReplyQueue;

  readonly #socket: Socket;
  readonly #target: ReplyTarget;
  readonly #maxBytes: number;
  readonly #outbox: Outbox;
  readonly #window: ReplyWindow;
  readonly #stall: StallGuard;

  constructor({ socket, limits, target, onDone, ...stallEvents }: RepliesOptions) {
    this.#socket = socket;
    this.#target = target;
    this.#maxBytes = limits.maxClientOutputBytes;
    this.#outbox = new Outbox(
      socket,
      () => {
        this.#stall.check();
      },
      () => this.queue.midway,
    );
    this.queue = new ReplyQueue(this.#outbox, onDone);
    this.#window = new ReplyWindow(limits.maxPipelineDepth, limits.maxClientOutputBytes);
    this.#stall = new StallGuard(socket, limits, () => this.queue.heldBytes, stallEvents);
  }

  /** True while nothing is owed. */
  get empty(): boolean {
    return this.queue.empty;
  }

  /** Whether a node owes a reply to what was sent to it as it came. Goes through all that is owed. */
  get awaitsAnswers(): boolean {
    for (const exchange of this.queue.owed()) if (!exchange.placed && !exchange.done) return true;
    return false;
  }

  /** Whether the client is held back since it does not read. */
  get stalled(): boolean {
    return this.#stall.stalled;
  }

  /** Bytes that the client has not read. */
  get unread(): number {
    return this.#socket.writableLength + this.#outbox.length;
  }

  /** Whether one more request may be under way beside `more` that have no place yet: neither are they too many, nor have they and the replies that wait too many bytes. */
  hasRoom(more: number): boolean {
    const { requests, requestBytes, heldBytes } = this.queue;
    return requests + more < this.#window.size && requestBytes + heldBytes < this.#maxBytes;
  }

  /** A place for a request whose reply the proxy itself puts in. `now` in milliseconds of the monotonic clock. */
  place(bytes: Buffer, start: number, end: number, now: number): Exchange {
    const exchange = new Exchange(this.#target, bytes, start, end, 1, now);
    exchange.placed = true;
    this.queue.push(exchange);
    return exchange;
  }

  /** The place of a request that was cut off another one's exchange, behind that. */
  standIn(behind: Exchange, request: Buffer): Exchange {
    const exchange = new Exchange(this.#target, request, 0, request.length, 1, behind.startedAt);
    exchange.placed = true;
    this.queue.insertBehind(behind, exchange);
    return exchange;
  }

  /** Bytes of replies from a node, in which `complete` replies end. */
  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number, complete: number): void {
    this.#stall.note(this.#window.add(end - start, complete));
    this.queue.deliver(exchange, bytes, start, end);
    if (this.queue.heldBytes > this.#maxBytes) this.#stall.check();
  }

  /** Puts a whole reply at its place. */
  fill(place: Exchange, reply: Buffer): void {
    const failure = errorWord(reply);
    if (failure !== undefined) place.failures = [{ index: 0, word: failure }];
    place.answered = 1;
    this.#window.expect(reply.length);
    this.#stall.note(reply.length);
    this.queue.deliver(place, reply, 0, reply.length);
  }

  /** Passes on the next bytes of the reply at its place. */
  pass(place: Exchange, bytes: Buffer): void {
    this.deliver(place, bytes, 0, bytes.length, 0);
  }

  /** The reply at its place was passed on whole. */
  passed(place: Exchange): void {
    this.#window.add(0, 1);
    place.answered = 1;
    this.queue.settle();
  }

  /** Writes what belongs to no request. */
  write(bytes: Buffer): void {
    this.#outbox.append(bytes, 0, bytes.length);
  }

  /** Writes all that can be written now. */
  flush(): void {
    this.#outbox.flush();
  }

  /** The client has gone. */
  end(): void {
    this.#stall.stop();
    this.queue.abandon();
    this.#outbox.clear();
  }
}
