import { EMPTY } from "../resp/bytes.ts";
import { encodeCommand, encodeError } from "../resp/encoder.ts";
import type { Redirection } from "../routing/redirection.ts";
import type { Address, Shard } from "../routing/topology.ts";
import { addressKey } from "../routing/topology.ts";
import { Exchange } from "./exchange.ts";
import type { ReplyTarget } from "./exchange.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamError } from "./upstream-error.ts";
import type { UserConnections } from "./user-connections.ts";

const ASKING = encodeCommand(["ASKING"]);
/** MOVED and ASK are followed at once so often; after that the cluster is given time to agree with itself. */
const IMMEDIATE_REDIRECTIONS = 5;
const FIRST_DELAY_MS = 10;
const LONGEST_DELAY_MS = 250;

/** Milliseconds before a node is tried again that has been tried so many times after a delay: 10, doubled each time, 250 at most. */
export function retryDelay(delays: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** delays, LONGEST_DELAY_MS);
}

/** What a delivery needs of the database it goes to. */
export interface DeliveryContext {
  readonly connections: UserConnections;
  /** Milliseconds that a request which nobody executed is kept trying. */
  readonly retryBudgetMs: number;
  /** Set before the proxy's own error texts. */
  readonly errorPrefix: string;
  /** Whether a redirection may lead there: the nodes themselves name the address. A script's error may name any. */
  readonly knows: (address: Address) => boolean;
  /** One server answers everything: what looks like a redirection is its own answer. */
  readonly standalone: boolean;
  /** A redirection showed that slots may be on the move; `to` is who has a key of the one that is, by ASK. */
  readonly unsettled: (to: (Address & { readonly slot: number }) | undefined) => void;
  /** A MOVED redirection was seen. */
  readonly moved: (slot: number, owner: Address) => void;
  /** Something failed that a newer topology may explain. */
  readonly refresh: () => void;
}

/**
 * What a request does in its turn; it calls `leave` when it is answered. `overtaken`: what its client has sent behind it was or may
 * have been executed, on a key that both have: it must not be executed any more.
 */
export type Enter = (leave: () => void, overtaken: boolean) => void;

/** The order in which the requests of one client are executed, where some of them must be sent again. */
export interface Order {
  /** Lets a request go on when those that failed before it are answered, so that none overtakes another. */
  readonly take: (request: Buffer, enter: Enter) => void;
  /** The request that begins at `start` was or may have been executed: those that wait for their turn by now came before it. */
  readonly executed: (bytes: Buffer, start: number) => void;
  /** The last `count` of the answered requests of `exchange` have been executed just now, without a turn. */
  readonly answered: (exchange: Exchange, count: number) => void;
}

/** One request on its way to the shard that owns a slot. */
export interface Parcel {
  readonly request: Buffer;
  /** The slot that says which shard it is for, also where the command names no key. */
  readonly slot: number;
  /** May be sent again although a node may have executed it already. */
  readonly readonly: boolean;
  /** On a connection that nobody else uses meanwhile. */
  readonly exclusive: boolean;
  /** A request that is sent right before it on the same connection, and whose reply is nobody's. */
  readonly before?: Buffer;
  /** Whom it is for in place of the slot's owner: a command for every master. Where the shard is gone, the reply is an empty buffer. */
  readonly shard?: Shard;
}

/** Where a reply goes that is not put together first. */
export interface ReplySink {
  /** The next bytes of the reply. */
  readonly take: (bytes: Buffer) => void;
  /** The connection was lost: what was taken is void. False where that cannot be; then nothing more is done. */
  readonly reset: (reason: string) => boolean;
}

/**
 * Brings one request to its shard, through redirections, failovers and lost connections, until it is answered, its time is
 * up, or nobody can know whether it was executed. A request is sent again only where it cannot have been executed, or where
 * executing it twice is the same as once (Redis's flag `readonly`), and not where what its client sent behind it came before it.
 */
export class Delivery implements ReplyTarget {
  readonly #context: DeliveryContext;
  readonly #parcel: Parcel;
  readonly #settle: (reply: Buffer) => void;
  readonly #order: Order | undefined;
  /** Whether it has had its turn. */
  #entered = false;
  readonly #since: number;
  readonly #deadline: number;
  readonly #sink: ReplySink | undefined;
  #parts: Buffer[] = [];
  #held = 0;
  #redirections = 0;
  #delays = 0;
  #lastError: Buffer | undefined;
  #lastLoss: UpstreamError | undefined;
  #lent: UpstreamConnection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #leave: (() => void) | undefined;
  #recalled: (() => void) | undefined;

  /**
   * @param settle gets the whole reply, once
   * @param order its turn is asked for once, when it shows that the first attempt does not bring the answer; without one it goes on at once
   * @param since from when its time is counted, in milliseconds of the monotonic clock: for one that waited for its turn
   * @param sink gets the bytes of the node's reply as they come; `settle` is then called with an empty buffer behind the last, or
   * with the proxy's own error in place of a reply
   */
  constructor(context: DeliveryContext, parcel: Parcel, settle: (reply: Buffer) => void, order?: Order, since = performance.now(), sink?: ReplySink) {
    this.#context = context;
    this.#parcel = parcel;
    this.#settle = settle;
    this.#order = order;
    this.#since = since;
    this.#deadline = since + context.retryBudgetMs;
    this.#sink = sink;
  }

  /** Bytes of its reply that have come. */
  get heldBytes(): number {
    return this.#held;
  }

  /** Where it waits by a connection that is lent to it alone. */
  get lentNode(): Address | undefined {
    return this.#lent?.address;
  }

  /** Sends it for the first time. */
  start(): void {
    this.#attempt();
  }

  /** Takes up a request whose first attempt ended in `redirection`; `error` is the error line itself. */
  resumeAfter(redirection: Redirection, error: Buffer): void {
    this.#redirect(redirection, error);
  }

  /** Takes up a request whose first connection was lost. */
  resumeAfterLoss(sent: boolean, reason: UpstreamError): void {
    this.#lost(sent, reason);
  }

  /** Nobody waits for the answer any more. A command that waits in Redis is ended with its connection. */
  cancel(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#lent?.close("the client has gone");
    this.#release();
  }

  /**
   * Ends a command that waits in Redis, for a client that is there still. What Redis has answered by then (an element that it has
   * popped, say) is the answer.
   *
   * @param gone called where there is no answer, and none will come
   */
  recall(gone: () => void): void {
    this.#recalled = gone;
    if (this.#lent === undefined) this.#lapse();
    else this.#lent.letGo();
  }

  /** Takes nothing from a connection that is lent to it alone, until `resume`. */
  pause(): void {
    this.#lent?.pause();
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#lent?.resume();
  }

  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number): void {
    if (this.#over) return;
    const piece = bytes.subarray(start, end);
    if (this.#sink === undefined) {
      this.#parts.push(piece);
      this.#held += piece.length;
    } else {
      this.#sink.take(piece);
    }
    // Who took it may have ended it all.
    if (!exchange.done || this.#isOver()) return;
    const parts = this.#parts;
    // A large reply must not be kept in its pieces as well while others are awaited.
    this.#parts = [];
    this.#finish(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
  }

  redirected(_exchange: Exchange, redirection: Redirection, error: Buffer): undefined {
    if (this.#over || this.#lapse()) return;
    this.#release();
    this.#redirect(redirection, error);
  }

  lost(_exchange: Exchange, sent: boolean, reason: UpstreamError): void {
    if (this.#over || this.#lapse()) return;
    this.#release();
    this.#parts = [];
    this.#held = 0;
    if (this.#sink?.reset(reason.message) === false) return;
    this.#lost(sent, reason);
  }

  /** @returns whether it was recalled: then it ends here */
  #lapse(): boolean {
    if (this.#recalled === undefined) return false;
    this.cancel();
    this.#recalled();
    return true;
  }

  #isOver(): boolean {
    return this.#over;
  }

  #attempt(): void {
    const { connections } = this.#context;
    if (connections.refused !== undefined) {
      this.#finish(encodeError("NOAUTH Authentication required."));
      return;
    }
    const { slot, exclusive, shard } = this.#parcel;
    if (shard === undefined) {
      this.#send(exclusive ? connections.lendForSlot(slot) : connections.forSlot(slot), exclusive);
      return;
    }
    const master = shard.masterBy(connections.topology);
    if (master === "gone") this.#finish(EMPTY);
    else if (master === "nobody") this.#later();
    else this.#send(exclusive ? connections.lend(master) : connections.to(master), exclusive);
  }

  #send(connection: UpstreamConnection | undefined, lent: boolean, before = this.#parcel.before): void {
    if (connection === undefined) {
      this.#later();
      return;
    }
    if (lent) this.#lent = connection;
    const { request } = this.#parcel;
    if (before !== undefined) connection.send(new Exchange(IGNORED, before, 0, before.length, 1, performance.now()));
    connection.send(new Exchange(this, request, 0, request.length, 1, performance.now()));
  }

  #redirect(redirection: Redirection, error: Buffer): void {
    this.#lastError = error;
    if (this.#showsMovingSlots(redirection)) this.#context.unsettled(redirection.kind === "ask" ? redirection : undefined);
    this.#inTurn(() => {
      this.#follow(redirection, error);
    });
  }

  /** A script can return any error; one that only looks like a redirection must not slow others down. */
  #showsMovingSlots(redirection: Redirection): boolean {
    if (redirection.kind === "later") return redirection.word === "TRYAGAIN";
    return redirection.slot === this.#parcel.slot && this.#context.knows(redirection);
  }

  #follow(redirection: Redirection, error: Buffer): void {
    if (this.#context.standalone && !(redirection.kind === "later" && redirection.word === "LOADING")) {
      this.#finish(error);
      return;
    }
    if (redirection.kind === "later" || !this.#context.knows(redirection) || ++this.#redirections > IMMEDIATE_REDIRECTIONS) {
      this.#later();
      return;
    }
    if (redirection.kind === "moved") {
      this.#context.moved(redirection.slot, redirection);
      this.#attempt();
      return;
    }
    const { connections } = this.#context;
    const { exclusive } = this.#parcel;
    const connection = exclusive ? connections.lend(redirection) : connections.to(redirection);
    this.#send(connection, exclusive, ASKING);
  }

  #lost(sent: boolean, reason: UpstreamError): void {
    if (!sent || this.#parcel.readonly) {
      this.#lastLoss = reason;
      this.#later();
      return;
    }
    this.#context.refresh();
    this.#order?.executed(this.#parcel.request, 0);
    this.#finish(this.#lossOf("the command", reason));
  }

  #later(): void {
    this.#context.refresh();
    this.#inTurn(() => {
      this.#tryLater();
    });
  }

  /** Once it has had its turn it goes on as it must. */
  #inTurn(step: () => void): void {
    if (this.#order === undefined || this.#entered) {
      step();
      return;
    }
    this.#entered = true;
    this.#order.take(this.#parcel.request, (leave, overtaken) => {
      this.#leave = leave;
      if (!overtaken) step();
      else this.#finish(this.#lastError ?? this.#lossOf("a command behind this one", this.#lastLoss));
    });
  }

  #lossOf(executed: string, reason: UpstreamError | undefined): Buffer {
    const why = reason === undefined ? "" : ` (${reason.message})`;
    return encodeError(`${this.#context.errorPrefix}connection to the node lost before it answered, ${executed} may have been executed${why}`);
  }

  #tryLater(): void {
    const now = performance.now();
    // One that waited behind others is tried at once, even where its time is up: what kept those may be over.
    if (this.#delays === 0 && now - this.#since > FIRST_DELAY_MS) {
      this.#delays++;
      this.#attempt();
      return;
    }
    if (now >= this.#deadline) {
      this.#finish(this.#lastError ?? encodeError(this.#unreachable()));
      return;
    }
    this.#timer = setTimeout(() => {
      this.#attempt();
    }, retryDelay(this.#delays++));
  }

  #unreachable(): string {
    const { standalone, errorPrefix, connections } = this.#context;
    if (standalone) return `${errorPrefix}the server cannot be reached; the command was not executed`;
    const { slot, shard } = this.#parcel;
    const master = shard?.masterBy(connections.topology);
    if (typeof master === "object") return `CLUSTERDOWN ${addressKey(master)} cannot be reached, which has a part of the keys; the command was not executed`;
    const owner = connections.ownerOf(slot);
    const node = owner === undefined ? "no node owns" : `${addressKey(owner)} cannot be reached, which owns`;
    return `CLUSTERDOWN ${node} hash slot ${slot}; the command was not executed`;
  }

  #finish(reply: Buffer): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#release();
    this.#settle(reply);
    this.#leave?.();
  }

  #release(): void {
    const lent = this.#lent;
    this.#lent = undefined;
    if (lent === undefined) return;
    lent.resume();
    if (this.#recalled !== undefined) lent.close("the command that waited was ended");
    this.#context.connections.giveBack(lent);
  }
}

/** Takes the reply to what is sent before a request, as ASKING is, which says nothing that the reply behind it does not say better. */
const IGNORED: ReplyTarget = {
  deliver: () => undefined,
  redirected: () => undefined,
  lost: () => undefined,
};
