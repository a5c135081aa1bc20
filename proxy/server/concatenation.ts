import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Order } from "../cluster/delivery.ts";
import { ASTERISK } from "../resp/bytes.ts";
import { encodeError } from "../resp/encoder.ts";
import type { Shard } from "../routing/topology.ts";
import type { UnderWay } from "./session-deliveries.ts";

/** Where a reply goes that is passed on as it comes. */
export interface ReplyStream {
  /** The next bytes of the reply. */
  readonly pass: (bytes: Buffer) => void;
  /** It has been passed on whole; or, with `reply`, nothing of it was passed on, and this is it. */
  readonly settle: (reply?: Buffer) => void;
  /** What was passed on will not be made whole. */
  readonly torn: (reason: string) => void;
}

/** One master's reply. */
interface Part {
  readonly delivery: Delivery;
  /** To be asked when it is known of the others what they have. */
  readonly late: boolean;
  /** Elements of the array; undefined while that is not known, and where it is no array. */
  elements: number | undefined;
  /** What has come and was not passed on. */
  waiting: Buffer[];
  done: boolean;
}

/**
 * One request to every shard's master, last to those that keys come to, and their arrays as one, in the order of the shards. Only how
 * many elements each has is awaited; then the arrays pass one after the other, and connections whose array is not at its turn are not
 * read: whatever the arrays' size, no more than some chunks of them are held.
 */
export class Concatenation implements UnderWay {
  readonly #out: ReplyStream;
  readonly #parts: readonly Part[];
  /** The part that is passed on; -1 until it is known how many elements there are. */
  #turn = -1;
  #paused = false;
  #over = false;
  #lateStarted = false;

  /**
   * Sends the request.
   *
   * @param request its bytes; a command that only reads
   * @param order where a master must be asked again
   */
  constructor(context: DeliveryContext, shards: readonly Shard[], request: Buffer, out: ReplyStream, order: Order) {
    this.#out = out;
    this.#parts = shards.map((shard, index): Part => {
      const settle = (reply: Buffer): void => {
        this.#ended(index, reply);
      };
      const sink = {
        take: (bytes: Buffer): void => {
          this.#take(index, bytes);
        },
        reset: (reason: string): boolean => this.#reset(index, reason),
      };
      const delivery = new Delivery(context, { request, slot: shard.slot, readonly: true, exclusive: true, shard }, settle, order, performance.now(), sink);
      return { delivery, late: shard.late, elements: undefined, waiting: [], done: false };
    });
    if (this.#parts.length === 0) out.settle(encodeError("CLUSTERDOWN no node owns a hash slot; the command was not executed"));
    this.#start(!this.#parts.some(({ late }) => !late));
  }

  get lentNode(): Delivery["lentNode"] {
    return this.#parts[Math.max(this.#turn, 0)]?.delivery.lentNode;
  }

  get heldBytes(): number {
    return this.#parts.reduce((sum, { waiting }) => sum + waiting.reduce((bytes, piece) => bytes + piece.length, 0), 0);
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    this.#over = true;
    for (const { delivery, done } of this.#parts) if (!done) delivery.cancel();
  }

  /** Takes nothing from the nodes until `resume`: the client does not read. */
  pause(): void {
    this.#paused = true;
    this.#parts[this.#turn]?.delivery.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#parts[this.#turn]?.delivery.resume();
  }

  #take(index: number, bytes: Buffer): void {
    const part = this.#parts[index]!;
    part.waiting.push(bytes);
    if (this.#turn === index) this.#passOn();
    if (this.#turn >= 0) return;
    if (part.elements === undefined) readHeader(part);
    if (part.elements === undefined) return;
    part.delivery.pause();
    this.#begin();
  }

  #start(late: boolean): void {
    this.#lateStarted = late;
    for (const part of this.#parts) if (part.late === late) part.delivery.start();
  }

  /** @param reply the proxy's own, in place of one that did not come; else empty */
  #ended(index: number, reply: Buffer): void {
    const part = this.#parts[index]!;
    part.done = true;
    if (reply.length > 0) {
      part.elements = undefined;
      part.waiting = [reply];
    } else if (part.elements === undefined && part.waiting.length === 0) {
      // Its shard is gone: the others have its keys.
      part.elements = 0;
    }
    if (this.#turn < 0) this.#begin();
    else if (this.#turn === index) this.#passOn();
  }

  /** @returns whether it can be asked for again */
  #reset(index: number, reason: string): boolean {
    if (this.#turn < 0) {
      const part = this.#parts[index]!;
      part.elements = undefined;
      part.waiting = [];
      return true;
    }
    this.cancel();
    this.#out.torn(reason);
    return false;
  }

  /** Once of each master either the number of elements is known, or the whole of another reply. */
  #begin(): void {
    if (this.#over) return;
    const known = ({ elements, done }: Part): boolean => done || elements !== undefined;
    if (!this.#lateStarted && this.#parts.every((part) => part.late || known(part))) this.#start(true);
    if (!this.#parts.every(known)) return;
    const other = this.#parts.find(({ elements }) => elements === undefined);
    if (other !== undefined) {
      this.cancel();
      this.#out.settle(Buffer.concat(other.waiting));
      return;
    }
    const total = this.#parts.reduce((sum, { elements }) => sum + elements!, 0);
    this.#out.pass(Buffer.from(`*${total}\r\n`));
    this.#turn = 0;
    this.#passOn();
  }

  #passOn(): void {
    for (;;) {
      const part = this.#parts[this.#turn];
      if (part === undefined) {
        this.#over = true;
        this.#out.settle();
        return;
      }
      const { waiting } = part;
      part.waiting = [];
      for (const piece of waiting) this.#out.pass(piece);
      if (this.#over) return;
      if (!part.done) {
        if (!this.#paused) part.delivery.resume();
        return;
      }
      this.#turn++;
    }
  }
}

/** Takes the header of an array off what has come of it, once it is whole. */
function readHeader(part: Part): void {
  const start = part.waiting.length === 1 ? part.waiting[0]! : Buffer.concat(part.waiting);
  part.waiting = [start];
  const end = start.indexOf("\r\n");
  if (start[0] !== ASTERISK || end < 0) return;
  part.elements = Math.max(0, Number(start.toString("latin1", 1, end)));
  part.waiting = start.length > end + 2 ? [start.subarray(end + 2)] : [];
}
