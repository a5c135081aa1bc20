import type { Database } from "../cluster/database.ts";
import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Order, Parcel } from "../cluster/delivery.ts";
import type { Exchange } from "../cluster/exchange.ts";
import { encodeCommand, encodeError } from "../resp/encoder.ts";
import { FrameReader } from "../resp/frame-reader.ts";
import { argument, keyIndexes } from "../routing/keys.ts";
import { planCluster } from "../routing/plan.ts";
import type { Address } from "../routing/topology.ts";
import type { ReplyStream } from "./concatenation.ts";
import { commandOf } from "./session-audit.ts";
import { Turns } from "./turns.ts";
import type { Touched } from "./turns.ts";

const PING = encodeCommand(["PING"]);
const NOAUTH = encodeError("NOAUTH Authentication required.");
const NONE: readonly UnderWay[] = [];
/** Keys that are alike so far count as one. */
const MOST_KEY_BYTES = 256;

/** What is under way for a client, and of no use to anybody when that has gone. */
export type UnderWay = Pick<Delivery, "cancel" | "lentNode" | "heldBytes"> & Partial<Pick<Delivery, "pause" | "resume" | "recall">> & {
  /** Whether it awaits answers, and not its turn. */
  readonly awaitsAnswers?: boolean;
};

/** What deliveries need of their session. */
export interface DeliveriesHost {
  readonly database: Database;
  /** Where requests without a key go. */
  readonly homeSlot: number;
  /** Of the login there is now; undefined where it has ended. */
  readonly context: () => DeliveryContext | undefined;
  /** Puts the reply at its place. */
  readonly fill: (place: Exchange, reply: Buffer) => void;
  /** Passes on the next bytes of the reply at its place; `passed` says that it is whole. */
  readonly pass: (place: Exchange, bytes: Buffer) => void;
  readonly passed: (place: Exchange) => void;
  /** Half of a reply was passed on, and the rest will not come. */
  readonly torn: (reason: string) => void;
  /** No further request is taken until it is released as often. */
  readonly hold: () => void;
  readonly release: () => void;
  /** Whether requests are under way that were sent as they came. */
  readonly awaitsAnswers: () => boolean;
}

/** A session's requests that go to Redis one by one: commands of several replies, those that wait, and those that must be sent again. */
export class SessionDeliveries {
  readonly #host: DeliveriesHost;
  readonly #turns: Turns;
  readonly #open = new Set<UnderWay>();

  constructor(host: DeliveriesHost) {
    this.#host = host;
    this.#turns = new Turns(host.hold, host.release, () => host.awaitsAnswers() || this.#awaitsAnswers(), (request) => this.#touchedBy(request));
  }

  /** Sends one request, and has no other taken until it is answered. `then` is called before the reply is put at its place. */
  alone(place: Exchange, parcel: Parcel, then: () => void): void {
    const { hold, release, fill } = this.#host;
    hold();
    this.#begin(parcel, (reply) => {
      then();
      fill(place, reply);
      release();
    }).start();
  }

  /** Has several deliveries make one reply. Where one of them must be sent again, the client's next requests wait. */
  collect(place: Exchange, start: (settle: (reply: Buffer) => void, order: Order) => readonly UnderWay[]): void {
    let deliveries = NONE;
    const settle = (reply: Buffer): void => {
      for (const delivery of deliveries) this.#open.delete(delivery);
      deliveries = NONE;
      this.#host.fill(place, reply);
    };
    deliveries = start(settle, this.#turns);
    if (place.done) return;
    for (const delivery of deliveries) this.#open.add(delivery);
  }

  /** Passes a reply on as it comes, and has no other request taken until it is whole. */
  stream(place: Exchange, start: (out: ReplyStream, order: Order) => UnderWay): void {
    const { hold, release, fill, pass, passed, torn } = this.#host;
    let underWay = NONE;
    hold();
    const settle = (reply?: Buffer): void => {
      for (const one of underWay) this.#open.delete(one);
      if (reply === undefined) passed(place);
      else fill(place, reply);
      release();
    };
    const one = start({ pass: (bytes) => { pass(place, bytes); }, settle, torn }, this.#turns);
    if (place.done) return;
    this.#open.add(one);
    underWay = [one];
  }

  /** Takes nothing from connections that only this client's requests are on, until `resume`. */
  pause(): void {
    for (const delivery of this.#open) delivery.pause?.();
  }

  /** Goes on after `pause`. */
  resume(): void {
    for (const delivery of this.#open) delivery.resume?.();
  }

  /** Sends a request again, behind those that failed before it; until all are answered, no new one is taken. */
  again(place: Exchange, request: Buffer, resume: (delivery: Delivery) => void): void {
    const settle = (reply: Buffer): void => {
      this.#host.fill(place, reply);
    };
    // The login may have ended meanwhile: the user was removed, or given another password.
    if (this.#host.context() === undefined) settle(NOAUTH);
    else resume(this.#begin({ request, ...this.#destination(request), exclusive: false }, settle, this.#turns));
    this.#turns.settled();
  }

  /**
   * Runs `then` when the owner of `slot` answers (neither is it down, nor does it load its data), or has not for as long as a request
   * is kept trying; until then no other request is taken.
   */
  onceServed(slot: number, then: () => void): void {
    const { hold, release } = this.#host;
    hold();
    this.#begin({ request: PING, slot, readonly: true, exclusive: false }, () => {
      then();
      release();
    }).start();
  }

  /** The last `count` of the answered requests of `exchange` were answered now: some may wait for their turn that came before them. */
  answered(exchange: Exchange, count: number): void {
    this.#turns.answered(exchange, count);
  }

  /** How many are not answered yet. */
  get count(): number {
    return this.#open.size;
  }

  /** Bytes of replies that are to become one with others, or are not whole. */
  get heldBytes(): number {
    let sum = 0;
    for (const { heldBytes } of this.#open) sum += heldBytes;
    return sum;
  }

  /** Where those wait that have a connection of their own. */
  *lentNodes(): Iterable<Address> {
    for (const { lentNode } of this.#open) if (lentNode !== undefined) yield lentNode;
  }

  /** Ends a command that waits in Redis, as `Delivery` does. */
  recall(gone: () => void): void {
    for (const delivery of this.#open) delivery.recall?.(gone);
  }

  /** Ends all: nobody waits for replies any more. */
  cancel(): void {
    for (const delivery of this.#open) delivery.cancel();
    this.#open.clear();
    this.#turns.clear();
  }

  #awaitsAnswers(): boolean {
    for (const { awaitsAnswers } of this.#open) if (awaitsAnswers === true) return true;
    return false;
  }

  #begin(parcel: Parcel, settle: (reply: Buffer) => void, order?: Order): Delivery {
    const done = (reply: Buffer): void => {
      this.#open.delete(delivery);
      settle(reply);
    };
    const delivery = new Delivery(this.#host.context()!, parcel, done, order);
    this.#open.add(delivery);
    return delivery;
  }

  /** Where a request that was planned before goes, read off its bytes again. */
  #destination(bytes: Buffer): { slot: number; readonly: boolean } {
    const request = new FrameReader();
    request.read(bytes, 0);
    const { database, homeSlot } = this.#host;
    const plan = planCluster(request, database.table, database.profile);
    return plan.kind === "forward" ? { slot: plan.slot ?? homeSlot, readonly: plan.readonly } : { slot: homeSlot, readonly: false };
  }

  #touchedBy(request: FrameReader): Touched {
    const { mode, table } = this.#host.database;
    // Nothing is known of a single server's commands: there any may touch what any other has.
    if (mode === "standalone") return { readonly: false, keys: [""] };
    const entry = commandOf(request, table);
    const keys = entry === undefined ? [] : keyIndexes(entry, request).map((index) => argument(request, index).toString("latin1", 0, MOST_KEY_BYTES));
    return { readonly: entry?.readonly ?? false, keys };
  }
}
