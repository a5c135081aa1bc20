import type { Socket } from "node:net";
import type { Database } from "../cluster/database.ts";
import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Enter, Turn } from "../cluster/delivery.ts";
import { cutBehindAnswered, Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import { Outbox } from "../cluster/outbox.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import type { UpstreamError } from "../cluster/upstream-error.ts";
import type { UserConnections } from "../cluster/user-connections.ts";
import { encodeError, encodeSimple } from "../resp/encoder.ts";
import { errorWord } from "../resp/error-word.ts";
import { FrameReader } from "../resp/frame-reader.ts";
import { RequestParser } from "../resp/request-parser.ts";
import type { Request } from "../resp/request-parser.ts";
import { argument, argumentSpells, entryOf, keyIndexes } from "../routing/keys.ts";
import type { Plan } from "../routing/plan.ts";
import { fitsArity, planCluster, refusedWhileSubscribed, slotOfArgument } from "../routing/plan.ts";
import { planStandalone } from "../routing/plan-standalone.ts";
import type { StandalonePlan } from "../routing/plan-standalone.ts";
import type { Redirection } from "../routing/redirection.ts";
import { SLOTS } from "../routing/slot.ts";
import { accessDenied, stepOfAuth } from "./authentication.ts";
import { fanOut, fetchEach } from "./fan-out.ts";
import { ReplyQueue } from "./reply-queue.ts";
import { ReplyWindow } from "./reply-window.ts";
import { Subscription } from "./subscription.ts";
import type { SessionObserver, SessionOptions } from "./session-options.ts";

const OK = encodeSimple("OK");
const RESET = encodeSimple("RESET");
const NOAUTH = encodeError("NOAUTH Authentication required.");
/** Bytes of requests that are read although they cannot be taken yet. */
const READ_AHEAD_BYTES = 65_536;
const EMPTY_LIST: readonly Delivery[] = [];

/**
 * One client's connection, from its first command to its end: reads requests, has them planned, sends them where the plans
 * say, and owes the replies in order. Requests are read only as fast as they can be taken: whatever makes the client wait
 * (a login, a command that waits in Redis, a redirection, its own slow reading) holds the parser.
 */
export class Session implements ReplyTarget {
  readonly #options: SessionOptions;
  readonly #socket: Socket;
  readonly #database: Database;
  readonly #observer: SessionObserver;
  readonly #parser: RequestParser;
  readonly #outbox: Outbox;
  readonly #queue: ReplyQueue;
  readonly #window: ReplyWindow;
  /** Keyless commands go to the owner of this slot: always the same shard, so that they keep their order. */
  readonly #homeSlot: number;

  #sessionUser: string | undefined;
  #users: UserConnections | undefined;
  #context: DeliveryContext | undefined;
  #epoch = 0;
  /** Standalone mode: the session's own connection, from the first command that leaves state in it. */
  #own: UpstreamConnection | undefined;
  #subscription: Subscription | undefined;

  /** Reasons not to take the next request. */
  #holds = 0;
  #processing = false;
  /** No further request is taken; what is owed is still written. */
  #closing = false;
  #inputEnded = false;
  /** All that is to be written is. */
  #finished = false;
  /** A command waits in Redis: if the client leaves, what comes must not be taken from Redis for nobody. */
  #waiting = false;
  #ended = false;
  #stalled: NodeJS.Timeout | undefined;
  #whenDrained: (() => void) | undefined;
  readonly #deliveries = new Set<Delivery>();
  /** Requests to be sent again, one after the other, so that they keep their order. */
  #turns: Enter[] = [];
  #turnUnderWay = false;
  #turnLoop = false;
  #lastMoments: NodeJS.Timeout | undefined;

  /** The run of requests for one connection that is still growing. */
  #runConnection: UpstreamConnection | undefined;
  #runBytes: Buffer | undefined;
  #runStart = 0;
  #runEnd = 0;
  #runCount = 0;
  #now = performance.now();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.#database = options.database;
    this.#observer = options.observer;
    this.#sessionUser = options.policy.databaseUser;
    this.#homeSlot = (options.id * 2_654_435_761) % SLOTS;
    this.#parser = new RequestParser(options.limits.unauthenticated);
    this.#outbox = new Outbox(
      this.#socket,
      () => {
        this.#checkOutput();
      },
      () => this.#queue.midway,
    );
    this.#queue = new ReplyQueue(this.#outbox, (exchange) => {
      this.#observer.exchangeDone(exchange);
    });
    this.#window = new ReplyWindow(options.limits.maxPipelineDepth, options.limits.maxClientOutputBytes);
    this.#listen();
  }

  /** Redis user of the session; undefined before the login. */
  get redisUser(): string | undefined {
    return this.#users?.user;
  }

  /** Ends the session as soon as nothing is owed to the client: at once, where it waits or has subscriptions. */
  drain(): void {
    this.#closing = true;
    if (this.#subscription !== undefined || this.#queue.empty) this.#finish();
  }

  /** Ends the session now. */
  destroy(): void {
    this.#socket.destroy();
  }

  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number, complete: number): void {
    if (this.#ended) return;
    this.#window.add(end - start, complete);
    this.#queue.deliver(exchange, bytes, start, end);
    this.#afterReplies();
  }

  redirected(exchange: Exchange, redirection: Redirection, error: Buffer): Exchange | undefined {
    const { request, rest } = cutBehindAnswered(exchange);
    if (this.#ended) return rest;
    const again = this.#standIn(exchange, request);
    if (rest !== undefined) this.#queue.insertBehind(again, rest);
    if (this.#own !== undefined) {
      // What the session left in its connection (a database, a transaction) holds on no other.
      this.#fill(again, error);
      this.#queue.settle();
      return rest;
    }
    this.#sendAgain(again, request, (delivery) => {
      delivery.resumeAfter(redirection, error);
    });
    this.#queue.settle();
    return rest;
  }

  lost(exchange: Exchange, sent: boolean, reason: UpstreamError): void {
    if (this.#ended || this.#finished) return;
    if (exchange.torn && !this.#queue.dropTorn(exchange)) {
      // Whatever followed, the client would take it for the rest of that reply.
      this.#observer.dropped(`half of a reply was sent when the connection to its node was lost (${reason.message})`);
      this.#finish();
      return;
    }
    if (this.#own?.closed === true) {
      this.#failOwn(exchange, reason);
      return;
    }
    let cut: Exchange | undefined = exchange;
    while (cut !== undefined) {
      const { request, rest } = cutBehindAnswered(cut);
      const again = this.#standIn(cut, request);
      if (rest !== undefined) this.#queue.insertBehind(again, rest);
      this.#sendAgain(again, request, (delivery) => {
        delivery.resumeAfterLoss(sent, reason);
      });
      cut = rest;
    }
    this.#queue.settle();
    this.#afterReplies();
  }

  #listen(): void {
    const { socket, limits } = this.#options;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      if (this.#closing) return;
      this.#parser.push(chunk);
      this.#process();
    });
    socket.on("drain", () => {
      if (this.#stalled === undefined) return;
      clearTimeout(this.#stalled);
      this.#stalled = undefined;
      this.#release();
    });
    socket.on("end", () => {
      this.#inputEnded = true;
      if (this.#subscription !== undefined || this.#waiting) this.#finish();
      else this.#process();
    });
    socket.on("error", () => {
      socket.destroy();
    });
    socket.on("close", () => {
      this.#end();
    });
    if (limits.idleTimeoutMs > 0) {
      // A listener that stays: the one that setTimeout takes is called once only.
      socket.setTimeout(limits.idleTimeoutMs);
      socket.on("timeout", () => {
        // A hold is the proxy's own waiting, as for a login's answer; a client that does not read has a limit of its own.
        if (this.#finished || this.#holds > 0 || !this.#queue.empty || this.#subscription !== undefined) return;
        this.#observer.dropped(`idle for ${limits.idleTimeoutMs} ms`);
        socket.destroy();
      });
    }
  }

  #process(): void {
    if (this.#processing) return;
    this.#processing = true;
    this.#now = performance.now();
    let starved = false;
    try {
      // Requests under way were sent by the old topology: those behind them must not overtake them on the new one.
      if (this.#epoch !== this.#database.epoch && this.#queue.empty) this.#epoch = this.#database.epoch;
      const current = this.#epoch === this.#database.epoch;
      const accepting = this.#observer.accepting();
      if (!accepting) this.#waitForAudit();
      while (this.#holds === 0 && !this.#closing && current && this.#hasRoom()) {
        if (!this.#parser.next()) {
          starved = true;
          break;
        }
        if (accepting) this.#take();
        else this.#answer(this.#parser, encodeError(`${this.#database.profile.errorPrefix}the audit cannot be written; commands are refused until it can`));
      }
      this.#closeRun();
    } catch (error) {
      this.#breach(error);
    }
    this.#processing = false;
    if (this.#inputEnded && this.#holds === 0 && this.#queue.empty) this.#finish();
    // Reading goes on while requests are held, up to a bound: it is how the end of the client is seen. What is buffered of a
    // request that is not whole counts for nothing here: the rest of it is what is waited for.
    else if (!starved && this.#parser.buffered > READ_AHEAD_BYTES) this.#socket.pause();
    else if (this.#stalled === undefined) this.#socket.resume();
  }

  /** Whether one more request may be under way: neither are they too many, nor wait too many bytes for replies before them. */
  #hasRoom(): boolean {
    return this.#queue.requests + this.#runCount < this.#window.size && this.#queue.heldBytes < this.#options.limits.maxClientOutputBytes;
  }

  /** A disk that is only slow slows clients down; refusing their commands is for one that takes nothing. */
  #waitForAudit(): void {
    if (this.#holds > 0) return;
    const waits = this.#observer.onceCaughtUp(() => {
      this.#release();
    });
    if (waits) this.#hold();
  }

  /** The plain case (a simple command, a key, its owner's connection) without a plan object; all else is planned. */
  #take(): void {
    const request = this.#parser;
    const users = this.#users;
    if (users !== undefined && this.#subscription === undefined && this.#database.mode === "cluster") {
      const entry = entryOf(this.#database.table, request);
      if (entry?.simple === true && fitsArity(entry, request.argc) && this.#database.unsettledUntil <= this.#now) {
        const connection = users.forSlot(slotOfArgument(request, entry.firstKey));
        if (connection !== undefined) {
          this.#forward(connection, request);
          return;
        }
      }
    }
    this.#perform(request, this.#plan(request));
  }

  #plan(request: Request): StandalonePlan {
    if (this.#database.mode === "standalone") return planStandalone(request, this.#database.profile, this.#own !== undefined);
    return planCluster(request, this.#database.table, this.#database.profile);
  }

  #perform(request: Request, plan: StandalonePlan): void {
    if (this.#subscription !== undefined && !(plan.kind === "session" && plan.what !== "authenticate")) {
      this.#performSubscribed(request, plan, this.#subscription);
      return;
    }
    if (plan.kind === "session") {
      this.#drained(() => {
        this.#performOnSession(request, plan.what);
      });
      return;
    }
    const users = this.#users;
    const context = this.#context;
    if (users === undefined || context === undefined || users.refused !== undefined) {
      // Clients open with HELLO where they would rather speak RESP3: they must learn that it is not offered, logged in or not.
      if (plan.kind === "answer" && argumentSpells(request, 0, "hello")) this.#answer(request, plan.reply, true);
      else this.#withoutLogin(request);
      return;
    }
    switch (plan.kind) {
      case "answer":
        if (plan.refused) this.#observer.refused(request);
        this.#answer(request, plan.reply, plan.refused);
        return;
      case "forward":
        this.#forwardPlanned(request, plan, users);
        return;
      case "wait":
        this.#drained(() => {
          this.#deliverAlone(request, { slot: plan.slot ?? this.#homeSlot, readonly: false, exclusive: true });
        });
        return;
      case "everyMaster":
        this.#afterDrainIf(plan.exclusive, () => {
          this.#onceSurveyed(() => {
            this.#collect(request, (settle, turn) => fanOut(context, this.#database.topology, request, plan, settle, turn));
          });
        });
        return;
      case "gets":
        this.#collect(request, (settle, turn) => fetchEach(context, request, settle, turn));
        return;
      case "subscribe":
        this.#drained(() => {
          this.#subscribe(request, users);
        });
        return;
      case "own":
        this.#drained(() => {
          this.#takeOwn(request, users);
        });
        return;
      case "unknown":
        this.#lookUp(request, users);
    }
  }

  #performSubscribed(request: Request, plan: StandalonePlan, subscription: Subscription): void {
    if (plan.kind === "answer" && plan.refused) {
      this.#observer.refused(request);
      subscription.answer(request, plan.reply, true);
      return;
    }
    const refusal = this.#database.mode === "cluster" ? refusedWhileSubscribed(request, this.#database.table) : undefined;
    if (refusal !== undefined) {
      subscription.answer(request, refusal, false);
      return;
    }
    const mayBeTheLast = argumentSpells(request, 0, "unsubscribe");
    if (!mayBeTheLast) {
      subscription.forward(request);
      return;
    }
    // Whether what comes behind it belongs to a subscribed client or to an ordinary one, only the answer tells.
    this.#hold();
    subscription.forward(request, () => {
      this.#release();
    });
  }

  #performOnSession(request: Request, what: "quit" | "reset" | "authenticate" | "hangUp"): void {
    if (what === "authenticate") {
      this.#authenticate(request);
      return;
    }
    if (what === "hangUp") {
      this.#observer.dropped("it sent a line of HTTP, as a web page would");
      this.#finish();
      return;
    }
    this.#subscription?.close();
    this.#subscription = undefined;
    if (what === "quit") {
      this.#answer(request, OK);
      this.#finish();
      return;
    }
    this.#logout();
    this.#answer(request, RESET);
  }

  #withoutLogin(request: Request): void {
    if (this.#users !== undefined) this.#logout();
    const user = this.#options.policy.databaseUser;
    if (user !== undefined && !this.#options.policy.mayBeUser(user)) {
      this.#observer.authentication(user, false);
      this.#answer(request, accessDenied(this.#database.profile.errorPrefix));
      this.#finish();
      return;
    }
    this.#answer(request, NOAUTH);
  }

  #authenticate(request: Request): void {
    const args = Array.from({ length: request.argc - 1 }, (_, i) => argument(request, i + 1));
    const { policy } = this.#options;
    const step = stepOfAuth(args, {
      sessionUser: this.#sessionUser,
      mayBeUser: (user) => policy.mayBeUser(user),
      errorPrefix: this.#database.profile.errorPrefix,
    });
    if (step.kind === "refuse") {
      this.#observer.authentication(step.user, false);
      this.#answer(request, step.reply);
      if (step.close) this.#finish();
      return;
    }
    this.#hold();
    void this.#database.login(step).then((login) => {
      if (this.#ended) {
        if ("connections" in login) this.#database.logout(login.connections);
        return;
      }
      this.#observer.authentication(step.user, "connections" in login);
      if ("connections" in login) this.#loggedIn(login.connections);
      this.#answer(request, "connections" in login ? OK : login.error);
      this.#release();
    });
  }

  #loggedIn(connections: UserConnections): void {
    if (this.#users !== undefined) this.#database.logout(this.#users);
    this.#users = connections;
    this.#context = this.#database.deliveryContext(connections);
    this.#sessionUser = connections.user;
    this.#parser.limits = this.#options.limits.authenticated;
  }

  #logout(): void {
    if (this.#users !== undefined) this.#database.logout(this.#users);
    this.#own?.close("the session has ended");
    this.#users = this.#context = this.#own = undefined;
    this.#sessionUser = this.#options.policy.databaseUser;
    this.#parser.limits = this.#options.limits.unauthenticated;
  }

  #forwardPlanned(request: Request, plan: { slot: number | undefined; readonly: boolean }, users: UserConnections): void {
    const slot = plan.slot ?? this.#homeSlot;
    const alone = (): void => {
      this.#deliverAlone(request, { slot, readonly: plan.readonly, exclusive: false });
    };
    if (this.#mayBeOvertaken(request)) {
      this.#drained(alone);
      return;
    }
    const connection = this.#own ?? users.forSlot(slot);
    if (connection !== undefined) this.#forward(connection, request);
    else alone();
  }

  /** Whether it could be asked to come again later (TRYAGAIN) while those behind it are executed; then they are not sent before its answer. */
  #mayBeOvertaken(request: Request): boolean {
    const { mode, table, unsettledUntil } = this.#database;
    if (mode === "standalone" || unsettledUntil <= this.#now) return false;
    const entry = entryOf(table, request);
    return entry !== undefined && keyIndexes(entry, request, 2).length > 1;
  }

  /** Adds the request to the run that goes to `connection`, or begins one. */
  #forward(connection: UpstreamConnection, request: Request): void {
    if (connection === this.#runConnection && request.frame === this.#runBytes && request.start === this.#runEnd) {
      this.#runEnd = request.end;
      this.#runCount++;
      return;
    }
    this.#closeRun();
    this.#runConnection = connection;
    this.#runBytes = request.frame;
    this.#runStart = request.start;
    this.#runEnd = request.end;
    this.#runCount = 1;
  }

  #closeRun(): void {
    const connection = this.#runConnection;
    if (connection === undefined) return;
    const exchange = new Exchange(this, this.#runBytes!, this.#runStart, this.#runEnd, this.#runCount, this.#now);
    this.#runConnection = this.#runBytes = undefined;
    this.#runCount = 0;
    this.#queue.push(exchange);
    connection.send(exchange);
  }

  /** A place in the queue for a request whose reply the proxy itself puts in. */
  #place(request: Request): Exchange {
    this.#closeRun();
    const exchange = new Exchange(this, request.frame, request.start, request.end, 1, this.#now);
    this.#queue.push(exchange);
    return exchange;
  }

  #standIn(behind: Exchange, request: Buffer): Exchange {
    const exchange = new Exchange(this, request, 0, request.length, 1, behind.startedAt);
    this.#queue.insertBehind(behind, exchange);
    return exchange;
  }

  #answer(request: Request, reply: Buffer, refused = false): void {
    const place = this.#place(request);
    place.refused = refused;
    this.#fill(place, reply);
  }

  #fill(place: Exchange, reply: Buffer): void {
    if (this.#ended) return;
    const failure = errorWord(reply);
    if (failure !== undefined) place.failures = [{ index: 0, word: failure }];
    place.answered = 1;
    this.#queue.deliver(place, reply, 0, reply.length);
    this.#afterReplies();
  }

  /** Sends one request by a delivery, and takes no other until it is answered. */
  #deliverAlone(request: Request, how: { slot: number; readonly: boolean; exclusive: boolean }): void {
    const place = this.#place(request);
    const parcel = { ...how, request: request.frame.subarray(request.start, request.end) };
    this.#hold();
    this.#waiting = how.exclusive;
    this.#begin(parcel, (reply) => {
      this.#waiting = false;
      this.#fill(place, reply);
      this.#release();
    }).start();
  }

  #begin(parcel: { request: Buffer; slot: number; readonly: boolean; exclusive: boolean }, settle: (reply: Buffer) => void, since?: number): Delivery {
    const done = (reply: Buffer): void => {
      this.#deliveries.delete(delivery);
      settle(reply);
    };
    const delivery = new Delivery(this.#context!, parcel, done, undefined, since);
    this.#deliveries.add(delivery);
    return delivery;
  }

  #sendAgain(place: Exchange, request: Buffer, resume: (delivery: Delivery) => void): void {
    const since = performance.now();
    this.#inTurn((leave) => {
      const settle = (reply: Buffer): void => {
        this.#fill(place, reply);
        leave();
      };
      // The login may have ended meanwhile: the user was removed, or given another password.
      if (this.#context === undefined) settle(NOAUTH);
      else resume(this.#begin({ request, ...this.#destination(request), exclusive: false }, settle, since));
    });
  }

  /** Has a request that failed go on behind those that failed before it; until all are answered, no new one is taken. */
  #inTurn(enter: Enter): void {
    this.#hold();
    this.#turns.push(enter);
    this.#nextTurn();
  }

  /** A loop, not a recursion: of a deep pipeline thousands are settled at once. */
  #nextTurn(): void {
    if (this.#turnLoop) return;
    this.#turnLoop = true;
    while (!this.#turnUnderWay) {
      const enter = this.#turns.shift();
      if (enter === undefined) break;
      this.#turnUnderWay = true;
      enter(() => {
        this.#turnUnderWay = false;
        this.#release();
        this.#nextTurn();
      });
    }
    this.#turnLoop = false;
  }

  /** Where a request that was planned before goes, read off its bytes again. */
  #destination(bytes: Buffer): { slot: number; readonly: boolean } {
    const request = new FrameReader();
    request.read(bytes, 0);
    const plan: Plan = planCluster(request, this.#database.table, this.#database.profile);
    const forward = plan.kind === "forward" ? plan : undefined;
    return { slot: forward?.slot ?? this.#homeSlot, readonly: forward?.readonly ?? false };
  }

  /** Has several deliveries make one reply. The client's next requests wait only where one of them must be sent again. */
  #collect(request: Request, start: (settle: (reply: Buffer) => void, turn: Turn) => readonly Delivery[]): void {
    const place = this.#place(request);
    let deliveries = EMPTY_LIST;
    const settle = (reply: Buffer): void => {
      for (const delivery of deliveries) this.#deliveries.delete(delivery);
      deliveries = EMPTY_LIST;
      this.#fill(place, reply);
    };
    deliveries = start(settle, (enter) => {
      this.#inTurn(enter);
    });
    if (place.done) return;
    for (const delivery of deliveries) this.#deliveries.add(delivery);
  }

  #subscribe(request: Request, users: UserConnections): void {
    const connection = users.lendForSlot(this.#homeSlot);
    if (connection === undefined) {
      this.#answer(request, encodeError(`${this.#database.profile.errorPrefix}no node can be reached for a subscription`));
      return;
    }
    this.#subscription = new Subscription(connection, request, {
      write: (bytes) => {
        this.#outbox.append(bytes, 0, bytes.length);
      },
      onOver: () => {
        this.#subscription = undefined;
        users.giveBack(connection);
      },
      onLost: () => {
        users.giveBack(connection);
        this.#finish();
      },
      onDone: (exchange) => {
        this.#observer.exchangeDone(exchange);
      },
    });
  }

  #takeOwn(request: Request, users: UserConnections): void {
    this.#own = users.lendForSlot(this.#homeSlot);
    if (this.#own === undefined) {
      this.#answer(request, encodeError(`${this.#database.profile.errorPrefix}the server cannot be reached; the command was not executed`));
      return;
    }
    this.#forwardPlanned(request, { slot: undefined, readonly: false }, users);
  }

  /** With its own connection the session has lost what it left there (a transaction, a selected database): it cannot go on. */
  #failOwn(exchange: Exchange, reason: UpstreamError): void {
    const error = encodeError(`${this.#database.profile.errorPrefix}connection to the server lost (${reason.message})`);
    exchange.count = exchange.answered + 1;
    this.#fill(exchange, error);
    exchange.answered = exchange.count;
    this.#queue.settle();
    this.#finish();
  }

  #lookUp(request: Request, users: UserConnections): void {
    this.#hold();
    void this.#database.learnCommand(argument(request, 0), users).then(() => {
      if (this.#ended) return;
      const plan = this.#plan(request);
      // Still unknown: Redis's own error text is the answer, and any node gives it.
      this.#perform(request, plan.kind === "unknown" ? { kind: "forward", slot: undefined, readonly: false } : plan);
      this.#closeRun();
      this.#release();
    });
  }

  #afterDrainIf(condition: boolean, then: () => void): void {
    if (condition) this.#drained(then);
    else then();
  }

  /** Runs `then` when it is known who the masters are; until then no other request is taken. */
  #onceSurveyed(then: () => void): void {
    const survey = this.#database.unsurveyed;
    if (survey === undefined) {
      then();
      return;
    }
    this.#closeRun();
    this.#hold();
    void survey.then(() => {
      if (this.#ended) return;
      then();
      this.#release();
    });
  }

  /** Runs `then` when all earlier requests are answered; until then no other is taken. */
  #drained(then: () => void): void {
    this.#closeRun();
    if (this.#queue.empty) {
      then();
      return;
    }
    this.#hold();
    this.#whenDrained = () => {
      then();
      this.#release();
    };
  }

  #afterReplies(): void {
    if (this.#queue.empty) {
      const then = this.#whenDrained;
      this.#whenDrained = undefined;
      then?.();
      if (this.#closing) {
        this.#finish();
        return;
      }
    }
    const more = this.#parser.buffered > 0 || this.#inputEnded;
    if (more && this.#holds === 0 && !this.#processing) this.#process();
  }

  #hold(): void {
    this.#holds++;
  }

  #release(): void {
    this.#holds--;
    if (this.#holds === 0 && !this.#ended && !this.#processing) this.#process();
  }

  #checkOutput(): void {
    const { maxClientOutputBytes, clientStallMs } = this.#options.limits;
    if (this.#stalled !== undefined || this.#ended || this.#socket.writableLength < maxClientOutputBytes) return;
    this.#hold();
    this.#socket.pause();
    this.#stalled = setTimeout(() => {
      this.#observer.dropped("the client does not read its replies");
      this.#socket.destroy();
    }, clientStallMs);
  }

  /** Bytes that are no commands: Redis's text, and the end of the connection, as nobody knows where the next command starts. */
  #breach(error: unknown): void {
    this.#closeRun();
    const text = error instanceof Error ? error.message : String(error);
    this.#observer.dropped(text);
    const place = new Exchange(this, Buffer.alloc(0), 0, 0, 1, this.#now);
    this.#queue.push(place);
    this.#closing = true;
    this.#fill(place, encodeError(`ERR Protocol error: ${text}`));
  }

  /** Writes what is owed and closes the connection. */
  #finish(): void {
    if (this.#finished) return;
    this.#finished = this.#closing = true;
    this.#outbox.flush();
    this.#socket.end();
    // A client that does not read, or does not close its side, must not keep the connection for ever.
    const { clientStallMs } = this.#options.limits;
    this.#socket.setTimeout(clientStallMs, () => this.#socket.destroy());
    // What it still sends is no reason to keep it: from the last byte written on it has so long to close its side.
    this.#socket.once("finish", () => {
      this.#lastMoments = setTimeout(() => this.#socket.destroy(), clientStallMs);
    });
    this.#socket.resume();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#stalled);
    clearTimeout(this.#lastMoments);
    for (const delivery of this.#deliveries) delivery.cancel();
    this.#deliveries.clear();
    this.#turns = [];
    this.#subscription?.close();
    this.#queue.abandon();
    this.#outbox.clear();
    this.#logout();
    this.#options.onEnd(this);
  }
}
