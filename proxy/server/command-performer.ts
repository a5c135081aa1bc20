import type { Database } from "../cluster/database.ts";
import type { DeliveryContext, Parcel } from "../cluster/delivery.ts";
import type { Exchange } from "../cluster/exchange.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import type { UserConnections } from "../cluster/user-connections.ts";
import { encodeError, encodeSimple } from "../resp/encoder.ts";
import type { Request } from "../resp/request-parser.ts";
import { argument, argumentSpells, entryOf, keyIndexes, MOST_WORD_BYTES } from "../routing/keys.ts";
import { planCluster } from "../routing/plan.ts";
import { planStandalone } from "../routing/plan-standalone.ts";
import type { StandalonePlan } from "../routing/plan-standalone.ts";
import { Concatenation } from "./concatenation.ts";
import { fanOut } from "./fan-out.ts";
import { MultiGet } from "./multi-get.ts";
import type { SessionDeliveries } from "./session-deliveries.ts";
import type { SessionLogin } from "./session-login.ts";
import type { SessionObserver } from "./session-options.ts";
import { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

const OK = encodeSimple("OK");
const RESET = encodeSimple("RESET");
/** For what any node may answer. */
const ANYWHERE = { kind: "forward", slot: undefined, readonly: false } as const;

/** What a command that is performed asks of its session. */
export interface PerformerHost {
  readonly database: Database;
  readonly observer: SessionObserver;
  readonly login: SessionLogin;
  readonly deliveries: SessionDeliveries;
  /** Where requests without a key go. */
  readonly homeSlot: number;
  /** When the requests at hand were taken up, in milliseconds of the monotonic clock. */
  readonly now: () => number;
  /** Whether the client has gone, or is to: nothing may be taken from Redis for it any more. */
  readonly leaving: () => boolean;
  /** No further request is taken until it is released as often. */
  readonly hold: () => void;
  readonly release: () => void;
  /** Runs `then` when all earlier requests are answered; until then no other is taken. */
  readonly drained: (then: () => void) => void;
  /** Sends the request by this connection, with its neighbours. */
  readonly forward: (connection: UpstreamConnection, request: Request) => void;
  /** Sends off what was forwarded so far. */
  readonly send: () => void;
  /** A place in the order of replies, for a request whose reply the proxy itself puts in. */
  readonly place: (request: Request) => Exchange;
  readonly fill: (place: Exchange, reply: Buffer) => void;
  /** Writes what belongs to no request: messages of a subscription. */
  readonly write: (bytes: Buffer) => void;
  /** A request of a subscribed client was answered. */
  readonly subscriptionAnswered: () => void;
  /** The login has begun or ended: other limits hold. */
  readonly loginChanged: () => void;
  /** Writes what is owed and ends the session. */
  readonly finish: () => void;
}

/**
 * Does what the plan of a command says, for one session: all that is more than sending it to the owner of its key. It has what
 * a session may have beside its requests under way: a subscription, a connection of its own, a command that waits in Redis.
 */
export class CommandPerformer {
  readonly #host: PerformerHost;
  readonly #subscriber: Subscriber;
  /** Standalone mode: the session's own connection, from the first command that leaves state in it. */
  #own: UpstreamConnection | undefined;
  /** A command waits in Redis: if the client leaves, what comes must not be taken from Redis for nobody. */
  #waiting = false;

  constructor(host: PerformerHost) {
    this.#host = host;
    this.#subscriber = new Subscriber(host);
  }

  /** Whether the client is subscribed: what it may do then is little. */
  get subscribed(): boolean {
    return this.#subscriber.subscription !== undefined;
  }

  /** Whether a command waits in Redis for as long as the client does. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** The session's own connection, where it has one. */
  get own(): UpstreamConnection | undefined {
    return this.#own;
  }

  /** The subscription, where there is one; only to be looked at. */
  get subscription(): Subscription | undefined {
    return this.#subscriber.subscription;
  }

  /** Takes nothing from the connections that are the session's own, until `resume`: what comes on them is nobody else's. */
  pause(): void {
    this.#subscriber.pause();
    this.#own?.pause();
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#subscriber.resume();
    this.#own?.resume();
  }

  /**
   * Ends a command that waits in Redis, but for an answer that Redis has given already: the client is there still.
   *
   * @param gone called where there is none, unless the session's own connection is lost with it
   */
  recallWaiting(gone: () => void): void {
    if (this.#own === undefined) this.#host.deliveries.recall(gone);
    else this.#own.letGo();
  }

  /** Ends a command that waits in Redis, and subscriptions: their client leaves. */
  cancelWaiting(): void {
    this.#subscriber.end();
    if (!this.#waiting) return;
    this.#host.deliveries.cancel();
    this.#own?.close("its client has gone");
  }

  /** Ends all that the session has in Redis. */
  end(): void {
    this.#subscriber.end();
    this.#own?.close("the session has ended");
  }

  /** What is to be done with the request. */
  plan(request: Request): StandalonePlan {
    const { database } = this.#host;
    if (database.mode === "standalone") return planStandalone(request, database.profile, this.#own !== undefined);
    return planCluster(request, database.table, database.profile);
  }

  /** Does it. */
  perform(request: Request, plan: StandalonePlan): void {
    const { login, observer, deliveries } = this.#host;
    const { subscription } = this.#subscriber;
    if (subscription !== undefined && !(plan.kind === "session" && plan.what !== "authenticate")) {
      this.#subscriber.perform(request, plan, subscription);
      return;
    }
    if (plan.kind === "session") {
      const perform = (): void => {
        this.#performOnSession(request, plan.what);
      };
      this.#host.drained(subscription === undefined ? perform : () => { this.#subscriber.behindAnswers(subscription, perform); });
      return;
    }
    const { users, context } = login;
    if (users === undefined || context === undefined || users.refused !== undefined) {
      // Clients open with HELLO where they would rather speak RESP3: they must learn that it is not offered, logged in or not.
      if (plan.kind === "answer" && argumentSpells(request, 0, "hello")) this.#answer(request, plan.reply, true);
      else this.#withoutLogin(request);
      return;
    }
    switch (plan.kind) {
      case "answer":
        if (plan.refused) observer.refused(request);
        this.#answer(request, plan.reply, plan.refused);
        return;
      case "forward":
        if (plan.countsSubscribers !== true) this.#forward(request, plan, users);
        else {
          this.#subscriber.behindOthers(() => {
            this.#forward(request, plan, users);
          });
        }
        return;
      case "wait":
        this.#host.drained(() => {
          if (plan.forWrites === true) this.#waitForWrites(request, users);
          else this.#wait(request, plan.slot ?? this.#host.homeSlot);
        });
        return;
      case "everyMaster":
        this.#host.drained(() => {
          this.#onceSurveyed(() => {
            this.#askAll(request, plan, context);
          });
        });
        return;
      case "gets":
        deliveries.collect(this.#host.place(request), (settle, order) => {
          const gets = new MultiGet(context, request, settle, order);
          gets.start(request);
          return [gets];
        });
        return;
      case "subscribe":
        this.#host.drained(() => {
          this.#subscriber.begin(request, users, context.retryBudgetMs, () => {
            if (users.refused === undefined) this.#fail(request, "no node can be reached for a subscription");
            else this.#withoutLogin(request);
          });
        });
        return;
      case "own":
        this.#host.drained(() => {
          // A connection of its own is told LOADING as it is: what was sent behind that cannot be taken back.
          deliveries.onceServed(this.#host.homeSlot, () => {
            this.#takeOwn(request, users);
          });
        });
        return;
      case "unknown":
        this.#lookUp(request, users);
    }
  }

  #performOnSession(request: Request, what: "quit" | "reset" | "authenticate" | "hangUp"): void {
    const { observer, finish } = this.#host;
    if (what === "authenticate") {
      this.#authenticate(request);
      return;
    }
    if (what === "hangUp") {
      observer.dropped("it sent a line of HTTP, as a web page would");
      finish();
      return;
    }
    this.#subscriber.end();
    if (what === "quit") {
      this.#answer(request, OK);
      finish();
      return;
    }
    this.#logout();
    this.#answer(request, RESET);
  }

  #withoutLogin(request: Request): void {
    const { login, finish } = this.#host;
    if (login.users !== undefined) this.#logout();
    const { reply, close } = login.refusal();
    this.#answer(request, reply);
    if (close) finish();
  }

  #authenticate(request: Request): void {
    const { login, hold, release, loginChanged, finish } = this.#host;
    const args = Array.from({ length: request.argc - 1 }, (_, i) => argument(request, i + 1));
    hold();
    login.authenticate(args, ({ reply, close }) => {
      loginChanged();
      this.#answer(request, reply);
      if (close) finish();
      release();
    });
  }

  #logout(): void {
    const { login, loginChanged } = this.#host;
    login.logout();
    const own = this.#own;
    this.#own = undefined;
    own?.close("the session has ended");
    loginChanged();
  }

  #forward(request: Request, plan: { slot: number | undefined; readonly: boolean }, users: UserConnections): void {
    const slot = plan.slot ?? this.#host.homeSlot;
    const alone = (): void => {
      this.#deliverAlone(request, { slot, readonly: plan.readonly, exclusive: false });
    };
    if (this.#mayBeOvertaken(request)) {
      this.#host.drained(alone);
      return;
    }
    const connection = this.#own ?? users.forSlot(slot);
    if (connection !== undefined) this.#host.forward(connection, request);
    else alone();
  }

  /** Whether it could be asked to come again later (TRYAGAIN) while those behind it are executed; then they are not sent before its answer. */
  #mayBeOvertaken(request: Request): boolean {
    const { mode, table, unsettledUntil } = this.#host.database;
    if (mode === "standalone" || unsettledUntil <= this.#host.now()) return false;
    const entry = entryOf(table, request);
    return entry !== undefined && keyIndexes(entry, request, 2).length > 1;
  }

  #answer(request: Request, reply: Buffer, refused = false): void {
    const place = this.#host.place(request);
    place.refused = refused;
    this.#host.fill(place, reply);
  }

  /** The proxy's own error, in the words of the database's profile. */
  #fail(request: Request, text: string): void {
    this.#answer(request, encodeError(`${this.#host.database.profile.errorPrefix}${text}`));
  }

  /** Sends one request by a delivery, and takes no other until it is answered. */
  #deliverAlone(request: Request, how: Omit<Parcel, "request">): void {
    const place = this.#host.place(request);
    this.#host.deliveries.alone(place, { ...how, request: request.frame.subarray(request.start, request.end) }, () => {
      this.#waiting = false;
    });
  }

  /**
   * Asks every master, while no other request of the client is under way: where one of them must be asked again, or on connections
   * of its own, it would not be in line with what comes behind it, and it may be about all keys.
   */
  #askAll(request: Request, plan: Parameters<typeof fanOut>[3], context: DeliveryContext): void {
    const { database, deliveries, hold, release } = this.#host;
    const place = this.#host.place(request);
    if (plan.exclusive && plan.merge === "concatenate") {
      const bytes = request.frame.subarray(request.start, request.end);
      deliveries.stream(place, (out, order) => new Concatenation(context, database.shards, bytes, out, order));
      return;
    }
    hold();
    deliveries.collect(place, (settle, order) => {
      const settleAll = (reply: Buffer): void => {
        settle(reply);
        release();
      };
      return fanOut(context, database.shards, request, plan, settleAll, order);
    });
  }

  /** Has a command wait in Redis for as long as the client does: nothing may be taken from Redis for one who has gone. */
  #wait(request: Request, slot: number, before?: Buffer): void {
    if (this.#host.leaving()) {
      this.#host.finish();
      return;
    }
    this.#waiting = true;
    if (this.#own === undefined) {
      this.#deliverAlone(request, { slot, readonly: false, exclusive: true, ...(before && { before }) });
      return;
    }
    this.#host.forward(this.#own, request);
    this.#host.drained(() => {
      this.#waiting = false;
    });
  }

  /**
   * WAIT is for all that was written before the last command of its connection (redis `server.c`, `processCommand`): a login right
   * before it takes in what the client has written by others. Servers that know WAITAOF (from Redis 7.2) count writes only.
   */
  #waitForWrites(request: Request, users: UserConnections): void {
    const { database, homeSlot } = this.#host;
    if (database.table.get("waitaof") === undefined) this.#wait(request, homeSlot, users.login);
    else this.#fail(request, "a client can wait for what it writes by a connection of its own only; SELECT gives it one");
  }

  #takeOwn(request: Request, users: UserConnections): void {
    const own = users.lendForSlot(this.#host.homeSlot);
    if (own === undefined) {
      this.#fail(request, "the server cannot be reached; the command was not executed");
      return;
    }
    this.#own = own;
    // What the client left in it is gone. Clients connect anew, unasked, where a connection ends; of an error at the next command
    // they tell their application.
    own.onceClosed(() => {
      if (this.#own === own) this.#host.finish();
    });
    this.#forward(request, { slot: undefined, readonly: false }, users);
  }

  #lookUp(request: Request, users: UserConnections): void {
    const { database, hold, release, send } = this.#host;
    const name = argument(request, 0);
    if (name.length >= MOST_WORD_BYTES) {
      this.perform(request, ANYWHERE);
      return;
    }
    hold();
    void database.learnCommand(name, users).then(() => {
      // The client has left meanwhile, and its login with it.
      if (this.#host.login.ended) return;
      const plan = this.plan(request);
      // Still unknown: Redis's own error text is the answer, and any node gives it.
      this.perform(request, plan.kind === "unknown" ? ANYWHERE : plan);
      send();
      release();
    });
  }

  /** Runs `then` when it is known who the masters are; until then no other request is taken. */
  #onceSurveyed(then: () => void): void {
    const { database, send, hold, release } = this.#host;
    const survey = database.unsurveyed;
    if (survey === undefined) {
      then();
      return;
    }
    send();
    hold();
    void survey.then(() => {
      if (this.#host.login.ended) return;
      then();
      release();
    });
  }
}
