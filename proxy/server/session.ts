import type { Socket } from "node:net";
import { chunkReceived } from "../cluster/chunk-garbage.ts";
import type { Database } from "../cluster/database.ts";
import { cutBehindAnswered } from "../cluster/exchange.ts";
import type { Exchange, ReplyTarget } from "../cluster/exchange.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import type { UpstreamError } from "../cluster/upstream-error.ts";
import { EMPTY } from "../resp/bytes.ts";
import { encodeError } from "../resp/encoder.ts";
import { RequestParser } from "../resp/request-parser.ts";
import type { Request } from "../resp/request-parser.ts";
import { argumentSpells, entryOf } from "../routing/keys.ts";
import { fitsArity, slotOfArgument } from "../routing/plan.ts";
import type { Redirection } from "../routing/redirection.ts";
import { SLOTS } from "../routing/slot.ts";
import { closeGently } from "./close-gently.ts";
import { CommandPerformer } from "./command-performer.ts";
import type { PerformerHost } from "./command-performer.ts";
import { Departure } from "./departure.ts";
import { RequestRun } from "./request-run.ts";
import { SessionDeliveries } from "./session-deliveries.ts";
import { SessionReplies } from "./session-replies.ts";
import { SessionLogin } from "./session-login.ts";
import type { SessionObserver, SessionOptions } from "./session-options.ts";
import { detailOf } from "./session-state.ts";
import type { Pause, SessionDetail, SessionState } from "./session-state.ts";

/** Bytes of requests that are read although they cannot be taken yet. */
const READ_AHEAD_BYTES = 65_536;
/** A client that sends nothing for so long is asked by TCP whether it is there still, as by Redis (`tcp-keepalive`). */
const KEEP_ALIVE_MS = 300_000;

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
  readonly #replies: SessionReplies;
  readonly #run: RequestRun;
  readonly #login: SessionLogin;
  readonly #deliveries: SessionDeliveries;
  readonly #performer: CommandPerformer;
  readonly #departure: Departure;

  #epoch = 0;
  /** Reasons not to take the next request. */
  #holds = 0;
  #processing = false;
  #inputEnded = false;
  /** All that is to be written is. */
  #finished = false;
  #ended = false;
  #whenDrained: (() => void) | undefined;
  #now = performance.now();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.#database = options.database;
    this.#observer = options.observer;
    this.#parser = new RequestParser(options.limits.unauthenticated);
    this.#replies = new SessionReplies({
      socket: this.#socket,
      limits: options.limits,
      target: this,
      onDone: (exchange) => {
        this.#observer.exchangeDone(exchange);
      },
      onStall: () => {
        this.#performer.pause();
        this.#deliveries.pause();
        this.#hold();
      },
      onRelief: () => {
        this.#performer.resume();
        this.#deliveries.resume();
        this.#release();
      },
      onGivenUp: () => {
        this.drop("the client does not read its replies");
      },
    });
    this.#run = new RequestRun(this, this.#replies.queue);
    this.#login = new SessionLogin(options.database, options.policy, options.observer, () => {
      this.#observer.dropped("Redis does not let its user in any more");
      this.#departure.leave();
    });
    // Always the same shard, so that commands without a key keep their order.
    const homeSlot = (options.id * 2_654_435_761) % SLOTS;
    const host = this.#makeHost();
    const stream = {
      pass: (place: Exchange, bytes: Buffer) => {
        if (!this.#ended) this.#replies.pass(place, bytes);
      },
      passed: (place: Exchange) => {
        this.#passed(place);
      },
      torn: (reason: string) => {
        this.#torn(reason);
      },
    };
    this.#deliveries = new SessionDeliveries({ ...host, ...stream, homeSlot, context: () => this.#login.context, awaitsAnswers: () => this.#replies.awaitsAnswers });
    this.#performer = new CommandPerformer({ ...host, homeSlot, login: this.#login, deliveries: this.#deliveries });
    this.#departure = new Departure({
      activeAt: () => this.#now,
      waits: () => this.#performer.waiting,
      listens: () => this.#performer.subscribed,
      // Held by a client that does not read, nothing is under way.
      owes: () => !this.#replies.empty || this.#run.count > 0 || this.#performer.subscription?.owes === true || (this.#holds > 0 && !this.#replies.stalled),
      asked: () => this.#parser.buffered > 0,
      recall: () => {
        this.#performer.recallWaiting(() => {
          this.#finish();
        });
      },
      finish: () => {
        this.#finish();
      },
    });
    this.#listen();
  }

  /** Redis user of the session; undefined before the login. */
  get redisUser(): string | undefined {
    return this.#login.users?.user;
  }

  /** What it holds in memory. */
  get bytes(): SessionState["bytes"] {
    const { requestBytes, heldBytes } = this.#replies.queue;
    return {
      in: this.#parser.buffered + requestBytes,
      held: heldBytes + this.#deliveries.heldBytes,
      out: this.#replies.unread,
    };
  }

  /** Ends the session now, and says why. */
  drop(reason: string): void {
    this.#observer.dropped(reason);
    this.#socket.destroy();
  }

  /** How it stands. Costs nothing before it is asked for. */
  state(): SessionState {
    return {
      redisUser: this.redisUser,
      requests: this.#replies.queue.requests,
      bytes: this.bytes,
      pausedFor: this.#pauses(),
    };
  }

  /** As `state`, with its requests and its own connections. Goes through all that its Redis user has under way. */
  detail(): SessionDetail {
    return detailOf(this.state(), this.#replies.queue.owed(), this.#login.users, this.#performer, this.#deliveries, this.#database.table);
  }

  /** Ends the session at a moment at which its client misses nothing, within seconds: see `Departure`. */
  drain(): void {
    this.#departure.drain();
  }

  /** Ends the session now. */
  destroy(): void {
    this.#socket.destroy();
  }

  deliver(exchange: Exchange, bytes: Buffer, start: number, end: number, complete: number): void {
    if (this.#ended) return;
    this.#deliveries.answered(exchange, complete);
    this.#replies.deliver(exchange, bytes, start, end, complete);
    this.#afterReplies();
  }

  redirected(exchange: Exchange, redirection: Redirection, error: Buffer): Exchange | undefined {
    const { request, rest } = cutBehindAnswered(exchange);
    if (this.#ended) return rest;
    const again = this.#replies.standIn(exchange, request);
    if (rest !== undefined) this.#replies.queue.insertBehind(again, rest);
    if (this.#performer.own !== undefined) {
      // What the session left in its connection (a database, a transaction) holds on no other.
      this.#fill(again, error);
      this.#replies.queue.settle();
      return rest;
    }
    this.#deliveries.again(again, request, (delivery) => {
      delivery.resumeAfter(redirection, error);
    });
    this.#replies.queue.settle();
    return rest;
  }

  lost(exchange: Exchange, sent: boolean, reason: UpstreamError): void {
    if (this.#ended || this.#finished) return;
    if (exchange.torn && !this.#replies.queue.dropTorn(exchange)) {
      this.#torn(reason.message);
      return;
    }
    if (this.#departure.recalled) {
      this.#finish();
      return;
    }
    if (this.#performer.own?.closed === true) {
      this.#failOwn(exchange, sent, reason);
      return;
    }
    let cut: Exchange | undefined = exchange;
    while (cut !== undefined) {
      const { request, rest } = cutBehindAnswered(cut);
      const again = this.#replies.standIn(cut, request);
      if (rest !== undefined) this.#replies.queue.insertBehind(again, rest);
      this.#deliveries.again(again, request, (delivery) => {
        delivery.resumeAfterLoss(sent, reason);
      });
      cut = rest;
    }
    this.#replies.queue.settle();
    this.#afterReplies();
  }

  #listen(): void {
    const { socket, limits } = this.#options;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("data", (chunk: Buffer) => {
      if (this.#departure.closing) return;
      chunkReceived(chunk);
      this.#parser.push(chunk);
      this.#process();
    });
    socket.on("end", () => {
      this.#inputEnded = true;
      if (this.#performer.waiting) this.#finish();
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
        if (this.#finished || this.#holds > 0 || !this.#replies.empty || this.#performer.subscribed) return;
        this.drop(`idle for ${limits.idleTimeoutMs} ms`);
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
      if (this.#epoch !== this.#database.epoch && this.#replies.empty) this.#epoch = this.#database.epoch;
      const current = this.#epoch === this.#database.epoch;
      const accepting = this.#observer.accepting();
      if (!accepting) this.#waitForAudit();
      while (this.#holds === 0 && !this.#departure.closing && current && this.#hasRoom()) {
        if (!this.#parser.next()) {
          starved = true;
          break;
        }
        if (accepting) this.#take();
        else if (argumentSpells(this.#parser, 0, "quit")) this.#performer.perform(this.#parser, this.#performer.plan(this.#parser));
        else this.#fill(this.#place(this.#parser), encodeError(`${this.#database.profile.errorPrefix}the audit cannot be written; commands are refused until it can`));
        if (this.#departure.last) this.#departure.closing = true;
      }
      this.#run.send(this.#now);
    } catch (error) {
      this.#breach(error);
    }
    this.#processing = false;
    if (this.#inputEnded && this.#holds === 0 && this.#replies.empty && this.#performer.subscription?.owes !== true) this.#finish();
    // What is buffered of a request that is not whole counts for nothing here: the rest of it is what is waited for.
    else this.#readOn(starved ? 0 : this.#parser.buffered);
    this.#departure.check();
  }

  /** Reading goes on while requests are held, up to a bound: it is how the end of the client is seen. */
  #readOn(ahead: number): void {
    // A command that waits must not take from Redis for one who has gone, whatever was sent behind it.
    const most = this.#performer.waiting ? this.#options.limits.maxClientOutputBytes : READ_AHEAD_BYTES;
    if (ahead > most) this.#socket.pause();
    else if (!this.#replies.stalled) this.#socket.resume();
  }

  #hasRoom(): boolean {
    return this.#replies.hasRoom(this.#run.count);
  }

  /** Why no further request is taken; empty where one would be. */
  #pauses(): Pause[] {
    const reasons: readonly (readonly [boolean, Pause])[] = [
      [this.#replies.stalled, "the client does not read its replies"],
      [this.#login.pending, "a login is checked"],
      [this.#performer.waiting, "a command waits in Redis"],
      [!this.#performer.waiting && this.#holds > 0 && this.#deliveries.count > 0, "requests are sent one by one"],
      [this.#whenDrained !== undefined, "requests before it are to be answered"],
      [!this.#observer.accepting(), "the audit does not keep up"],
      [!this.#hasRoom(), "as many requests as it may have are under way"],
      [this.#epoch !== this.#database.epoch && !this.#replies.empty, "requests under way were sent by an older topology"],
      [this.#departure.near, "it ends when it is owed nothing more"],
    ];
    return reasons.flatMap(([holds, reason]) => (holds ? [reason] : []));
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
    if (users !== undefined && !this.#performer.subscribed && this.#database.mode === "cluster") {
      const entry = entryOf(this.#database.table, request);
      if (entry?.simple === true && fitsArity(entry, request.argc) && this.#database.unsettledUntil <= this.#now) {
        const connection = users.forSlot(slotOfArgument(request, entry.firstKey));
        if (connection !== undefined) {
          this.#run.add(connection, request, this.#now);
          return;
        }
      }
    }
    this.#performer.perform(request, this.#performer.plan(request));
  }

  /** What the rest of a session asks of it. */
  #makeHost() {
    return {
      database: this.#database,
      observer: this.#observer,
      now: () => this.#now,
      leaving: () => this.#departure.near || this.#inputEnded,
      hold: () => {
        this.#hold();
      },
      release: () => {
        this.#release();
      },
      drained: (then: () => void) => {
        this.#drained(then);
      },
      forward: (connection: UpstreamConnection, request: Request) => {
        this.#run.add(connection, request, this.#now);
      },
      send: () => {
        this.#run.send(this.#now);
      },
      place: (request: Request) => this.#place(request),
      fill: (place: Exchange, reply: Buffer) => {
        this.#fill(place, reply);
      },
      write: (bytes: Buffer) => {
        this.#replies.write(bytes);
      },
      subscriptionAnswered: () => {
        if (this.#inputEnded) this.#process();
        else this.#departure.check();
      },
      loginChanged: () => {
        const { authenticated, unauthenticated } = this.#options.limits;
        this.#parser.limits = this.#login.users === undefined ? unauthenticated : authenticated;
      },
      finish: () => {
        this.#finish();
      },
    } satisfies Partial<PerformerHost>;
  }

  /** A place in the queue for a request whose reply the proxy itself puts in. */
  #place(request: Request): Exchange {
    this.#run.send(this.#now);
    return this.#replies.place(request.frame, request.start, request.end, this.#now);
  }

  #fill(place: Exchange, reply: Buffer): void {
    if (this.#ended) return;
    this.#replies.fill(place, reply);
    this.#afterReplies();
  }

  #passed(place: Exchange): void {
    if (this.#ended) return;
    this.#replies.passed(place);
    this.#afterReplies();
  }

  /** Whatever followed, the client would take it for the rest of the reply that it has half of. */
  #torn(reason: string): void {
    this.#observer.dropped(`half of a reply was sent when the connection to its node was lost (${reason})`);
    this.#finish();
  }

  /** Runs `then` when all earlier requests are answered; until then no other is taken. */
  #drained(then: () => void): void {
    this.#run.send(this.#now);
    if (this.#replies.empty) {
      then();
      return;
    }
    this.#hold();
    this.#whenDrained = () => {
      then();
      this.#release();
      if (this.#performer.waiting) this.#readOn(this.#parser.buffered);
    };
  }

  /** With its own connection the session has lost what it left there (a transaction, a selected database): it cannot go on. */
  #failOwn(exchange: Exchange, sent: boolean, reason: UpstreamError): void {
    const outcome = sent ? " before it answered, the command may have been executed" : "; the command was not executed";
    const error = encodeError(`${this.#database.profile.errorPrefix}connection to the server lost${outcome} (${reason.message})`);
    exchange.count = exchange.answered + 1;
    this.#fill(exchange, error);
    exchange.answered = exchange.count;
    this.#replies.queue.settle();
    this.#finish();
  }

  #afterReplies(): void {
    if (this.#replies.empty) {
      const then = this.#whenDrained;
      this.#whenDrained = undefined;
      then?.();
    }
    const more = this.#parser.buffered > 0 || this.#inputEnded;
    if (more && this.#holds === 0 && !this.#processing) this.#process();
    else this.#departure.check();
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
    const place = this.#replies.place(EMPTY, 0, 0, this.#now);
    this.#departure.closing = true;
    this.#fill(place, encodeError(`ERR Protocol error: ${text}`));
  }

  /** Writes what is owed and closes the connection. */
  #finish(): void {
    if (this.#finished) return;
    this.#finished = this.#departure.closing = true;
    this.#performer.cancelWaiting();
    this.#replies.flush();
    closeGently(this.#socket, this.#options.limits.clientStallMs);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#departure.stop();
    this.#deliveries.cancel();
    this.#performer.end();
    this.#replies.end();
    this.#login.end();
    this.#options.onEnd(this);
  }
}
