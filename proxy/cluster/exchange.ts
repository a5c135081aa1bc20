import { FrameReader } from "../resp/frame-reader.ts";
import type { Redirection } from "../routing/redirection.ts";
import type { UpstreamError } from "./upstream-error.ts";

/** Who gets the replies to an exchange. */
export interface ReplyTarget {
  /** `bytes[start, end)` are the next bytes of the replies, in the order of the requests; `complete` replies end in them. */
  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number, complete: number): void;
  /**
   * The reply to request `exchange.answered` is a redirection, given whole as `error`. The exchange is over with it.
   *
   * @returns the exchange that gets the replies to the requests behind that one, where there are any
   */
  redirected(exchange: Exchange, redirection: Redirection, error: Buffer): Exchange | undefined;
  /** No reply will come to the requests from `exchange.answered` on. `sent` says whether their bytes may have reached Redis. */
  lost(exchange: Exchange, sent: boolean, reason: UpstreamError): void;
}

/** An error among the replies of an exchange: the index of its request, and the error's first word. */
export interface Failure {
  readonly index: number;
  readonly word: string;
}

/**
 * Consecutive requests of one origin that went to one connection, and their replies. A run of requests costs one object,
 * not one each; the requests' bytes stay where the client's socket put them, for the case that they must be sent again.
 */
export class Exchange {
  readonly target: ReplyTarget;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Requests in it; fewer than at first where it was cut behind a redirected one. */
  count: number;
  /** Replies that have come whole. */
  answered = 0;
  /** Error replies among them; undefined while there is none. */
  failures: Failure[] | undefined = undefined;
  /** Set before it is lost: bytes of a reply that will not be whole were handed on. */
  torn = false;
  /** Whether its reply is put in by the proxy, wherever that comes from: it was not sent as it came. */
  placed = false;
  /** Whether the proxy denied it, in place of sending it. */
  refused = false;
  /** When it was made, in milliseconds of the monotonic clock. */
  readonly startedAt: number;
  /** When the last of its replies came from a node; 0 where it has not, or the proxy has put it in. */
  answeredAt = 0;

  /** The next in its connection's order, and the next in its client's. */
  nextOnConnection: Exchange | undefined = undefined;
  nextForClient: Exchange | undefined = undefined;
  /** Replies that wait for those before them: `held[heldStart, heldEnd)`, and what came behind it. */
  held: Buffer | undefined = undefined;
  heldStart = 0;
  heldEnd = 0;
  heldMore: Buffer[] | undefined = undefined;

  constructor(target: ReplyTarget, bytes: Buffer, start: number, end: number, count: number, startedAt: number) {
    this.target = target;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.count = count;
    this.startedAt = startedAt;
  }

  get done(): boolean {
    return this.answered >= this.count;
  }
}

const reader = new FrameReader();

/** Cuts `exchange` behind its answered requests: the next request's own bytes, and an exchange of those behind it. */
export function cutBehindAnswered(exchange: Exchange): { request: Buffer; rest: Exchange | undefined } {
  let start = exchange.start;
  for (let i = 0; i < exchange.answered; i++) start = reader.read(exchange.bytes, start);
  const end = reader.read(exchange.bytes, start);
  const left = exchange.count - exchange.answered - 1;
  exchange.count = exchange.answered;
  const { target, bytes, startedAt } = exchange;
  return {
    request: bytes.subarray(start, end),
    rest: left > 0 ? new Exchange(target, bytes, end, exchange.end, left, startedAt) : undefined,
  };
}
