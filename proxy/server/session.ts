import type { Socket } from "node:net";
import type { Database } from "../cluster/database.ts";
import { cutBehindAnswered, Exchange } from "../cluster/exchange.ts";
import type { ReplyTarget } from "../cluster/exchange.ts";
import { Outbox } from "../cluster/outbox.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import type { UpstreamError } from "../cluster/upstream-error.ts";
import type { UserConnections } from "../cluster/user-connections.ts";
import { encodeError, encodeSimple } from "../resp/encoder.ts";
import { errorWord } from "../resp/error-word.ts";
import { RequestParser } from "../resp/request-parser.ts";
import type { Request } from "../resp/request-parser.ts";
import { argument, argumentSpells, entryOf, keyIndexes } from "../routing/keys.ts";
import { fitsArity, planCluster, refusedWhileSubscribed, slotOfArgument } from "../routing/plan.ts";
import { planStandalone } from "../routing/plan-standalone.ts";
import type { StandalonePlan } from "../routing/plan-standalone.ts";
import type { Redirection } from "../routing/redirection.ts";
import { SLOTS } from "../routing/slot.ts";
import { closeGently } from "./close-gently.ts";
import { fanOut, fetchEach } from "./fan-out.ts";
import { ReplyQueue } from "./reply-queue.ts";
import { ReplyWindow } from "./reply-window.ts";
import { RequestRun } from "./request-run.ts";
import { SessionDeliveries } from "./session-deliveries.ts";
import { SessionLogin } from "./session-login.ts";
import type { SessionObserver, SessionOptions } from "./session-options.ts";
import { StallGuard } from "./stall-guard.ts";
import { Subscription } from "./subscription.ts";

const OK = encodeSimple("OK");
const RESET = encodeSimple("RESET");
/** Bytes of requests that are read although they cannot be taken yet. */
const READ_AHEAD_BYTES = 65_536;

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
  readonly #run: RequestRun;
  readonly #login: SessionLogin;
  readonly #deliveries: SessionDeliveries;
  readonly #stall: StallGuard;
  /** Keyless commands go to the owner of this slot: always the same shard, so that they keep their order. */
  readonly #homeSlot: number;

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
  #whenDrained: (() => void) | undefined;
  #now = performance.now();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.#database = options.database;
    this.#observer = options.observer;
    this.#homeSlot = (options.id * 2_654_435_761) % SLOTS;
    this.#parser = new RequestParser(options.limits.unauthenticated);
    this.#outbox = new Outbox(
      this.#socket,
      () => {
        this.#stall.check();
      },
      () => this.#queue.midway,
    );
    this.#queue = new ReplyQueue(this.#outbox, (exchange) => {
      this.#observer.exchangeDone(exchange);
    });
    this.#window = new ReplyWindow(options.limits.maxPipelineDepth, options.limits.maxClientOutputBytes);
    this.#run = new RequestRun(this, this.#queue);
    this.#login = new SessionLogin(options.database, options.policy, options.observer);
    this.#deliveries = new SessionDeliveries({
      database: options.database,
      homeSlot: this.#homeSlot,
      context: () => this.#login.context,
      fill: (place, reply) => {
        this.#fill(place, reply);
      },
      hold: () => {
        this.#hold();
      },
      release: () => {
        this.#release();
      },
    });
    this.#stall = new StallGuard(options.socket, options.limits, () => this.#queue.heldBytes, {
      onStall: () => {
        // What comes on a connection of the session's own is nobody else's, and need not be taken before it can be passed on.
        this.#subscription?.pause();
        this.#own?.pause();
        this.#hold();
      },
      onRelief: () => {
        this.#subscription?.resume();
        this.#own?.resume();
        this.#release();
      },
      onGivenUp: () => {
        this.#observer.dropped("the client does not read its replies");
        this.#socket.destroy();
      },
    });
    this.#listen();
  }

  /** Redis user of the session; undefined before the login. */
  get redisUser(): string | undefined {
    return this.#login.users?.user;
  }

  /** Ends the session as soon as nothing is owed to the client: at once, where it waits or has subscriptions. */
  drain(): void {
    this.#closing = true;
    if (this.#waiting || this.#subscription !== undefined || this.#queue.empty) this.#finish();
  }

  /** Ends the session now. */
  destroy(): void {
    this.#socket.destroy();
  }

  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number, complete: number): void {
    if (this.#ended) return;
    this.#stall.note(this.#window.add(end - start, complete));
    this.#queue.deliver(exchange, bytes, start, end);
    if (this.#queue.heldBytes > this.#options.limits.maxClientOutputBytes) this.#stall.check();
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
    this.#deliveries.again(again, request, (delivery) => {
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
      this.#deliveries.again(again, request, (delivery) => {
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
        else if (argumentSpells(this.#parser, 0, "quit")) this.#perform(this.#parser, this.#plan(this.#parser));
        else this.#answer(this.#parser, encodeError(`${this.#database.profile.errorPrefix}the audit cannot be written; commands are refused until it can`));
      }
      this.#run.send(this.#now);
    } catch (error) {
      this.#breach(error);
    }
    this.#processing = false;
    if (this.#inputEnded && this.#holds === 0 && this.#queue.empty) this.#finish();
    // Reading goes on while requests are held, up to a bound: it is how the end of the client is seen. What is buffered of a
    // request that is not whole counts for nothing here: the rest of it is what is waited for.
    else if (!starved && this.#parser.buffered > READ_AHEAD_BYTES) this.#socket.pause();
    else if (!this.#stall.stalled) this.#socket.resume();
  }

  /** Whether one more request may be under way: neither are they too many, nor wait too many bytes for replies before them. */
  #hasRoom(): boolean {
    return this.#queue.requests + this.#run.count < this.#window.size && this.#queue.heldBytes < this.#options.limits.maxClientOutputBytes;
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
    const { users } = this.#login;
    if (users !== undefined && this.#subscription === undefined && this.#database.mode === "cluster") {
      const entry = entryOf(this.#database.table, request);
      if (entry?.simple === true && fitsArity(entry, request.argc) && this.#database.unsettledUntil <= this.#now) {
        const connection = users.forSlot(slotOfArgument(request, entry.firstKey));
        if (connection !== undefined) {
          this.#run.add(connection, request, this.#now);
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
    const { users, context } = this.#login;
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
          this.#wait(request, plan.slot ?? this.#homeSlot);
        });
        return;
      case "everyMaster":
        this.#afterDrainIf(plan.exclusive, () => {
          this.#onceSurveyed(() => {
            this.#deliveries.collect(this.#place(request), (settle, turn) => fanOut(context, this.#database.topology, request, plan, settle, turn));
          });
        });
        return;
      case "gets":
        this.#deliveries.collect(this.#place(request), (settle, turn) => fetchEach(context, request, settle, turn));
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
    if (this.#login.users !== undefined) this.#logout();
    const { reply, close } = this.#login.refusal();
    this.#answer(request, reply);
    if (close) this.#finish();
  }

  #authenticate(request: Request): void {
    const args = Array.from({ length: request.argc - 1 }, (_, i) => argument(request, i + 1));
    this.#hold();
    this.#login.authenticate(args, ({ reply, close }) => {
      this.#applyLimits();
      this.#answer(request, reply);
      if (close) this.#finish();
      this.#release();
    });
  }

  #logout(): void {
    this.#login.logout();
    this.#own?.close("the session has ended");
    this.#own = undefined;
    this.#applyLimits();
  }

  #applyLimits(): void {
    const { authenticated, unauthenticated } = this.#options.limits;
    this.#parser.limits = this.#login.users === undefined ? unauthenticated : authenticated;
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
    if (connection !== undefined) this.#run.add(connection, request, this.#now);
    else alone();
  }

  /** Whether it could be asked to come again later (TRYAGAIN) while those behind it are executed; then they are not sent before its answer. */
  #mayBeOvertaken(request: Request): boolean {
    const { mode, table, unsettledUntil } = this.#database;
    if (mode === "standalone" || unsettledUntil <= this.#now) return false;
    const entry = entryOf(table, request);
    return entry !== undefined && keyIndexes(entry, request, 2).length > 1;
  }

  /** A place in the queue for a request whose reply the proxy itself puts in. */
  #place(request: Request): Exchange {
    this.#run.send(this.#now);
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
    this.#window.expect(reply.length);
    this.#stall.note(reply.length);
    this.#queue.deliver(place, reply, 0, reply.length);
    this.#afterReplies();
  }

  /** Sends one request by a delivery, and takes no other until it is answered. */
  #deliverAlone(request: Request, how: { slot: number; readonly: boolean; exclusive: boolean }): void {
    const place = this.#place(request);
    this.#deliveries.alone(place, { ...how, request: request.frame.subarray(request.start, request.end) }, () => {
      this.#waiting = false;
    });
  }

  /** Has a command wait in Redis for as long as the client does: nothing may be taken from Redis for one who has gone. */
  #wait(request: Request, slot: number): void {
    if (this.#closing || this.#inputEnded) {
      this.#finish();
      return;
    }
    this.#waiting = true;
    if (this.#own === undefined) {
      this.#deliverAlone(request, { slot, readonly: false, exclusive: true });
      return;
    }
    this.#run.add(this.#own, request, this.#now);
    this.#drained(() => {
      this.#waiting = false;
    });
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
      this.#run.send(this.#now);
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
    this.#run.send(this.#now);
    this.#hold();
    void survey.then(() => {
      if (this.#ended) return;
      then();
      this.#release();
    });
  }

  /** Runs `then` when all earlier requests are answered; until then no other is taken. */
  #drained(then: () => void): void {
    this.#run.send(this.#now);
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

  /** Bytes that are no commands: Redis's text, and the end of the connection, as nobody knows where the next command starts. */
  #breach(error: unknown): void {
    this.#run.send(this.#now);
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
    if (this.#waiting) {
      this.#deliveries.cancel();
      this.#own?.close("its client has gone");
    }
    this.#outbox.flush();
    closeGently(this.#socket, this.#options.limits.clientStallMs);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stall.stop();
    this.#deliveries.cancel();
    this.#subscription?.close();
    this.#queue.abandon();
    this.#outbox.clear();
    this.#own?.close("the session has ended");
    this.#login.end();
    this.#options.onEnd(this);
  }
}
