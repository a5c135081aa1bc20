import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Order } from "../cluster/delivery.ts";
import { cutBehindAnswered, Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import type { UpstreamError } from "../cluster/upstream-error.ts";
import { MINUS } from "../resp/bytes.ts";
import { encodeError } from "../resp/encoder.ts";
import { ReplyScanner } from "../resp/reply-scanner.ts";
import type { Request } from "../resp/request-parser.ts";
import { slotOfArgument } from "../routing/plan.ts";
import type { Redirection } from "../routing/redirection.ts";
import type { UnderWay } from "./session-deliveries.ts";

/** A GET up to its key. */
const GET = Buffer.from("*2\r\n$3\r\nGET\r\n");
const CRLF_BYTES = 2;

/** The keys that go to one connection, as GETs behind one another. */
interface Group {
  /** Of those that are not taken yet. */
  exchange: Exchange;
  /** Which of the request's keys they are, from 0 on. */
  readonly keys: readonly number[];
  readonly scanner: ReplyScanner;
  /** Keys whose reply has come whole, or that go on by deliveries of their own. */
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
  readonly #order: Order;
  readonly #slots: readonly number[];
  /** The reply to key i is `#sources[i][#bounds[2i] .. #bounds[2i+1])`. */
  readonly #sources: Buffer[];
  readonly #bounds: number[];
  readonly #groups: Group[] = [];
  readonly #deliveries: Delivery[] = [];
  #missing: number;
  #over = false;

  /**
   * Nothing is sent before `start`.
   *
   * @param settle gets the one reply, once
   * @param order where a key must be asked for again
   */
  constructor(context: DeliveryContext, request: Request, settle: (reply: Buffer) => void, order: Order) {
    this.#context = context;
    this.#settle = settle;
    this.#order = order;
    const keys = request.argc - 1;
    this.#missing = keys;
    const slots = new Array<number>(keys);
    for (let key = 0; key < keys; key++) slots[key] = slotOfArgument(request, key + 1);
    this.#slots = slots;
    this.#sources = new Array<Buffer>(keys);
    this.#bounds = new Array<number>(2 * keys);
  }

  /** Sends the GETs of `request`, the one that it was made for. */
  start(request: Request): void {
    const { connections } = this.#context;
    const keysOf = new Map<UpstreamConnection | undefined, number[]>();
    for (let key = 0; key < this.#slots.length; key++) {
      const connection = connections.forSlot(this.#slots[key]!);
      const keys = keysOf.get(connection);
      if (keys === undefined) keysOf.set(connection, [key]);
      else keys.push(key);
    }
    const now = performance.now();
    for (const [connection, keys] of keysOf) {
      if (connection === undefined) {
        for (const key of keys) this.#deliver(key, encodeGets(request, [key])).start();
        continue;
      }
      const bytes = encodeGets(request, keys);
      const exchange = new Exchange(this, bytes, 0, bytes.length, keys.length, now);
      this.#groups.push({ exchange, keys, scanner: new ReplyScanner(), taken: 0, partial: [] });
      connection.send(exchange);
    }
  }

  get awaitsAnswers(): boolean {
    return this.#groups.some(({ exchange }) => !exchange.done);
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    this.#over = true;
    for (const delivery of this.#deliveries) delivery.cancel();
  }

  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number, complete: number): void {
    if (this.#over) return;
    const group = this.#groupOf(exchange);
    this.#order.answered(exchange, complete);
    this.heldBytes += end - start;
    let pos = start;
    while (pos < end) {
      const replyEnd = group.scanner.scan(bytes, pos, end);
      if (replyEnd < 0) {
        group.partial.push(bytes.subarray(pos, end));
        return;
      }
      const key = group.keys[group.taken++]!;
      if (group.partial.length === 0) {
        this.#got(key, bytes, pos, replyEnd);
      } else {
        const reply = Buffer.concat([...group.partial, bytes.subarray(pos, replyEnd)]);
        group.partial = [];
        this.#got(key, reply, 0, reply.length);
      }
      pos = replyEnd;
    }
  }

  redirected(exchange: Exchange, redirection: Redirection, error: Buffer): Exchange | undefined {
    const { request, rest } = cutBehindAnswered(exchange);
    if (this.#over) return rest;
    const group = this.#groupOf(exchange);
    const key = group.keys[group.taken++]!;
    if (rest !== undefined) group.exchange = rest;
    this.#deliver(key, request).resumeAfter(redirection, error);
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

  #groupOf(exchange: Exchange): Group {
    // One a node: a search without a closure, as this is done for every piece of a reply.
    for (const group of this.#groups) if (group.exchange === exchange) return group;
    throw new Error("an exchange of another MGET");
  }

  /** Reading a key twice is the same as once, so it is asked for again whatever happened. */
  #deliver(key: number, request: Buffer): Delivery {
    const parcel = { request, slot: this.#slots[key]!, readonly: true, exclusive: false };
    const delivery = new Delivery(
      this.#context,
      parcel,
      (reply) => {
        this.heldBytes += reply.length;
        this.#got(key, reply, 0, reply.length);
      },
      this.#order,
    );
    this.#deliveries.push(delivery);
    return delivery;
  }

  #got(key: number, bytes: Buffer, start: number, end: number): void {
    this.#sources[key] = bytes;
    this.#bounds[2 * key] = start;
    this.#bounds[2 * key + 1] = end;
    if (--this.#missing === 0) this.#settle(this.#failure() ?? this.#array());
  }

  #failure(): Buffer | undefined {
    const sources = this.#sources;
    const bounds = this.#bounds;
    for (let key = 0; key < sources.length; key++) {
      if (sources[key]![bounds[2 * key]!] !== MINUS) continue;
      return encodeError(this.#context.errorPrefix + sources[key]!.toString("utf8", bounds[2 * key]! + 1, bounds[2 * key + 1]! - CRLF_BYTES));
    }
    return undefined;
  }

  #array(): Buffer {
    const sources = this.#sources;
    const bounds = this.#bounds;
    const head = `*${sources.length}\r\n`;
    let size = head.length;
    for (let key = 0; key < sources.length; key++) size += bounds[2 * key + 1]! - bounds[2 * key]!;
    const reply = Buffer.allocUnsafe(size);
    let at = reply.write(head, "latin1");
    for (let key = 0; key < sources.length; key++) at += sources[key]!.copy(reply, at, bounds[2 * key], bounds[2 * key + 1]);
    return reply;
  }
}

/**
 * GETs of some of the keys of an MGET, behind one another. A key's bulk string is taken as it stands in the request, from behind
 * the argument before it to its own end.
 */
function encodeGets({ frame, start, offsets }: Request, keys: readonly number[]): Buffer {
  const from = (key: number): number => start + offsets[2 * key + 1]! + CRLF_BYTES;
  const to = (key: number): number => start + offsets[2 * key + 3]! + CRLF_BYTES;
  let size = keys.length * GET.length;
  for (const key of keys) size += to(key) - from(key);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const key of keys) {
    bytes.set(GET, at);
    at += GET.length;
    at += frame.copy(bytes, at, from(key), to(key));
  }
  return bytes;
}
