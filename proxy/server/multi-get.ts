import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Turn } from "../cluster/delivery.ts";
import { cutBehindAnswered, Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import type { UpstreamError } from "../cluster/upstream-error.ts";
import { encodeArray, encodeError } from "../resp/encoder.ts";
import { ReplyScanner } from "../resp/reply-scanner.ts";
import type { Request } from "../resp/request-parser.ts";
import { isError } from "../routing/merge.ts";
import { slotOfArgument } from "../routing/plan.ts";
import type { Redirection } from "../routing/redirection.ts";
import type { UnderWay } from "./session-deliveries.ts";

const GET = Buffer.from("*2\r\n$3\r\nGET\r\n$");

/** The keys that go to one connection, as GETs behind one another. */
interface Group {
  readonly exchange: Exchange;
  /** Which of the request's keys they are, from 0 on. */
  readonly keys: readonly number[];
  readonly scanner: ReplyScanner;
  /** Keys whose reply has come whole. */
  taken: number;
  /** What has come of the next one. */
  partial: Buffer[];
}

/**
 * MGET as GETs to the owners of the keys, those of one owner in one piece, and their replies as one. A GET that is redirected or
 * lost goes on by a delivery of its own; one that cannot be fetched makes the whole answer an error.
 */
export class MultiGet implements ReplyTarget, UnderWay {
  /** None: reading keys does not wait in Redis. */
  readonly lentNode = undefined;
  /** Bytes of the replies that have come. */
  heldBytes = 0;

  readonly #context: DeliveryContext;
  readonly #settle: (reply: Buffer) => void;
  readonly #turn: Turn;
  readonly #slots: readonly number[];
  readonly #replies: Buffer[];
  readonly #groups: Group[] = [];
  readonly #deliveries: Delivery[] = [];
  #missing: number;
  #over = false;

  /**
   * Nothing is sent before `start`.
   *
   * @param settle gets the one reply, once
   * @param turn asked where a key must be asked for again
   */
  constructor(context: DeliveryContext, request: Request, settle: (reply: Buffer) => void, turn: Turn) {
    this.#context = context;
    this.#settle = settle;
    this.#turn = turn;
    this.#missing = request.argc - 1;
    this.#slots = Array.from({ length: this.#missing }, (_, key) => slotOfArgument(request, key + 1));
    this.#replies = new Array<Buffer>(this.#missing);
  }

  /** Sends the GETs of `request`, the one that it was made for. */
  start(request: Request): void {
    const { connections } = this.#context;
    const keysOf = new Map<UpstreamConnection | undefined, number[]>();
    this.#slots.forEach((slot, key) => {
      const connection = connections.forSlot(slot);
      const keys = keysOf.get(connection);
      if (keys === undefined) keysOf.set(connection, [key]);
      else keys.push(key);
    });
    const now = performance.now();
    for (const [connection, keys] of keysOf) {
      if (connection === undefined) {
        for (const key of keys) this.#deliver(key, encodeGets(request, [key])).start();
        continue;
      }
      const bytes = encodeGets(request, keys);
      connection.send(this.#group(new Exchange(this, bytes, 0, bytes.length, keys.length, now), keys));
    }
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    this.#over = true;
    for (const delivery of this.#deliveries) delivery.cancel();
  }

  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number): void {
    if (this.#over) return;
    const group = this.#groupOf(exchange);
    this.heldBytes += end - start;
    let pos = start;
    while (pos < end) {
      const replyEnd = group.scanner.scan(bytes, pos, end);
      const piece = bytes.subarray(pos, replyEnd < 0 ? end : replyEnd);
      if (replyEnd < 0) {
        group.partial.push(piece);
        return;
      }
      pos = replyEnd;
      const reply = group.partial.length === 0 ? piece : Buffer.concat([...group.partial, piece]);
      if (group.partial.length > 0) group.partial = [];
      this.#got(group.keys[group.taken++]!, reply);
    }
  }

  redirected(exchange: Exchange, redirection: Redirection, error: Buffer): Exchange | undefined {
    const { request, rest } = cutBehindAnswered(exchange);
    if (this.#over) return rest;
    const { keys, taken } = this.#groupOf(exchange);
    if (rest !== undefined) this.#group(rest, keys.slice(taken + 1));
    this.#deliver(keys[taken]!, request).resumeAfter(redirection, error);
    return rest;
  }

  lost(exchange: Exchange, sent: boolean, reason: UpstreamError): void {
    if (this.#over) return;
    const { keys, taken } = this.#groupOf(exchange);
    let cut: Exchange | undefined = exchange;
    for (let i = taken; cut !== undefined; i++) {
      const { request, rest }: ReturnType<typeof cutBehindAnswered> = cutBehindAnswered(cut);
      this.#deliver(keys[i]!, request).resumeAfterLoss(sent, reason);
      cut = rest;
    }
  }

  #group(exchange: Exchange, keys: readonly number[]): Exchange {
    this.#groups.push({ exchange, keys, scanner: new ReplyScanner(), taken: 0, partial: [] });
    return exchange;
  }

  #groupOf(exchange: Exchange): Group {
    return this.#groups.find((group) => group.exchange === exchange)!;
  }

  /** Reading a key twice is the same as once, so it is asked for again whatever happened. */
  #deliver(key: number, request: Buffer): Delivery {
    const parcel = { request, slot: this.#slots[key]!, readonly: true, exclusive: false };
    const delivery = new Delivery(
      this.#context,
      parcel,
      (reply) => {
        this.heldBytes += reply.length;
        this.#got(key, reply);
      },
      this.#turn,
    );
    this.#deliveries.push(delivery);
    return delivery;
  }

  #got(key: number, reply: Buffer): void {
    this.#replies[key] = reply;
    if (--this.#missing > 0) return;
    const failure = this.#replies.find(isError);
    this.#settle(failure === undefined ? encodeArray(this.#replies) : encodeError(this.#context.errorPrefix + failure.toString("utf8", 1, failure.length - 2)));
  }
}

/** GETs of some of the keys of an MGET, behind one another. */
function encodeGets({ frame, start, offsets }: Request, keys: readonly number[]): Buffer {
  const lengthOf = (key: number): number => offsets[2 * key + 3]! - offsets[2 * key + 2]!;
  const size = keys.reduce((sum, key) => sum + GET.length + String(lengthOf(key)).length + lengthOf(key) + 4, 0);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const key of keys) {
    bytes.set(GET, at);
    at += GET.length;
    at += bytes.write(`${lengthOf(key)}\r\n`, at, "latin1");
    at += frame.copy(bytes, at, start + offsets[2 * key + 2]!, start + offsets[2 * key + 3]!);
    at += bytes.write("\r\n", at, "latin1");
  }
  return bytes;
}
