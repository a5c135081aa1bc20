import { Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import { EMPTY } from "../resp/bytes.ts";
import type { Request } from "../resp/request-parser.ts";
import type { ReplyQueue } from "./reply-queue.ts";

/** A client's adjacent requests for one connection, while they become more: they leave as one exchange. */
export class RequestRun {
  /** Requests in it; 0 while there is none. */
  count = 0;

  readonly #target: ReplyTarget;
  readonly #queue: ReplyQueue;
  #connection: UpstreamConnection | undefined;
  #bytes: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  /**
   * @param target gets the replies
   * @param queue where their place is kept
   */
  constructor(target: ReplyTarget, queue: ReplyQueue) {
    this.#target = target;
    this.#queue = queue;
  }

  /** Adds the request to the run, or sends that off and begins another. `now` in milliseconds of the monotonic clock. */
  add(connection: UpstreamConnection, request: Request, now: number): void {
    if (connection === this.#connection && request.frame === this.#bytes && request.start === this.#end) {
      this.#end = request.end;
      this.count++;
      return;
    }
    this.send(now);
    this.#connection = connection;
    this.#bytes = request.frame;
    this.#start = request.start;
    this.#end = request.end;
    this.count = 1;
  }

  /** Sends it, where there is one. To be called before anything else takes a place in the queue. */
  send(now: number): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const exchange = new Exchange(this.#target, this.#bytes, this.#start, this.#end, this.count, now);
    this.#connection = undefined;
    this.#bytes = EMPTY;
    this.count = 0;
    this.#queue.push(exchange);
    connection.send(exchange);
  }
}
