import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { MINUS } from "../resp/bytes.ts";
import { encodeCommand } from "../resp/encoder.ts";
import { errorWord } from "../resp/error-word.ts";
import { ReplyScanner } from "../resp/reply-scanner.ts";
import { mayRedirect, parseRedirection } from "../routing/redirection.ts";
import type { Address } from "../routing/topology.ts";
import { addressKey } from "../routing/topology.ts";
import { chunkReceived } from "./chunk-garbage.ts";
import type { Exchange } from "./exchange.ts";
import { loginVerdict } from "./login-reply.ts";
import type { LatencyHistogram } from "./latency-histogram.ts";
import { Outbox } from "./outbox.ts";
import { SlicedWrites } from "./sliced-writes.ts";
import { UpstreamError } from "./upstream-error.ts";

/** An error line is held until it is whole as long as it may be a redirection; those, and replies to AUTH, are shorter. */
const MOST_HELD_BYTES = 1_024;

/** What a connection to a node needs. */
export interface UpstreamOptions {
  readonly address: Address;
  /** Starts the socket; a TLS socket is `secureConnect`ed when both sides have proved who they are. */
  readonly dial: (address: Address) => Socket | TLSSocket;
  /** Arguments of the AUTH that comes before all else; none for a connection that only checks passwords. */
  readonly auth?: readonly Buffer[] | undefined;
  /** Milliseconds for connecting, the TLS handshake and AUTH together. */
  readonly connectTimeoutMs: number;
  /** Where the time to each whole reply is booked. */
  readonly latency?: LatencyHistogram | undefined;
  /** Called once, when it is connected and logged in. */
  readonly onReady?: ((address: Address) => void) | undefined;
  /** Called once, after all its exchanges were told. */
  readonly onEnd: (connection: UpstreamConnection, reason: UpstreamError) => void;
}

/**
 * One connection to one node. Requests go out in the order of `send`, in one write a turn of the event loop; the replies'
 * boundaries are found and their bytes handed on as they come. It can be used at once: until it is connected and logged in,
 * requests wait in it.
 */
export class UpstreamConnection {
  readonly address: Address;
  /** When bytes last came, or when it last began to wait for some, in milliseconds of the monotonic clock. */
  lastProgressAt = performance.now();

  readonly #options: UpstreamOptions;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #scanner = new ReplyScanner();
  #state: "connecting" | "authenticating" | "ready" | "closed" = "connecting";
  #head: Exchange | undefined;
  #tail: Exchange | undefined;
  /** The first exchange whose bytes are still in the outbox: it and those behind it have reached nobody. */
  #firstUnsent: Exchange | undefined;
  /** An error line that is not whole yet: whether it is a redirection shows only at its end. */
  #partialError: Buffer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onceDecided: (() => void) | undefined;
  #onceClosed: (() => void) | undefined;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.address = options.address;
    const socket = options.dial(options.address);
    this.#socket = socket;
    this.#outbox = new Outbox(new SlicedWrites(socket), () => {
      this.#firstUnsent = undefined;
    });
    this.#outbox.held = true;
    this.#timer = setTimeout(() => {
      this.#end(this.#error("UPSTREAM_CONNECT", `no answer within ${options.connectTimeoutMs} ms`));
    }, options.connectTimeoutMs);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    socket.once("encrypted" in socket ? "secureConnect" : "connect", () => {
      this.#connected();
    });
    socket.on("data", (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on("error", (error: Error) => {
      this.#end(this.#error(this.#state === "ready" ? "UPSTREAM_LOST" : "UPSTREAM_CONNECT", error.message, error));
    });
    socket.on("close", () => {
      this.#end(this.#error(this.#state === "ready" ? "UPSTREAM_LOST" : "UPSTREAM_CONNECT", "the node closed the connection"));
    });
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  /** Calls `then` once it is ready or closed: at once, where it is. For its only user. */
  onceDecided(then: () => void): void {
    if (this.ready || this.closed) then();
    else this.#onceDecided = then;
  }

  /** Calls `then` when it ends, whoever ends it, after its exchanges were told. For its only user. */
  onceClosed(then: () => void): void {
    this.#onceClosed = then;
  }

  /** True while it owes no reply. */
  get idle(): boolean {
    return this.#head === undefined;
  }

  /** What waits for replies here, oldest first; only to be looked at. */
  *underWay(): Iterable<Exchange> {
    for (let exchange = this.#head; exchange !== undefined; exchange = exchange.nextOnConnection) yield exchange;
  }

  /** Sends the requests of `exchange` behind all others. A closed connection tells its target at once that they are lost. */
  send(exchange: Exchange): void {
    if (this.#state === "closed") {
      exchange.target.lost(exchange, false, this.#error("UPSTREAM_CLOSED", "the connection is closed"));
      return;
    }
    if (this.#tail === undefined) {
      this.#head = exchange;
      this.lastProgressAt = exchange.startedAt;
    } else this.#tail.nextOnConnection = exchange;
    this.#tail = exchange;
    this.#firstUnsent ??= exchange;
    this.#outbox.append(exchange.bytes, exchange.start, exchange.end);
  }

  /** Writes bytes that belong to the last exchange sent. For one without an end: a subscription. */
  write(bytes: Buffer, start: number, end: number): void {
    if (this.#state !== "closed") this.#outbox.append(bytes, start, end);
  }

  /** Takes nothing from the node for a while: for a connection whose only user does not read. */
  pause(): void {
    this.#socket.pause();
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#socket.resume();
  }

  /** Has the node end the connection: replies that it has given by then still come. Nothing may be sent any more. */
  letGo(): void {
    if (this.#state === "ready") this.#socket.end();
    else this.close();
  }

  /** Ends the connection now; requests without a reply are lost. */
  close(why = "the proxy closed the connection"): void {
    this.#end(this.#error("UPSTREAM_CLOSED", why));
  }

  /** As `close`, for a connection that is of no use any more through no doing of the proxy. */
  lose(why: string): void {
    this.#end(this.#error("UPSTREAM_LOST", why));
  }

  #connected(): void {
    const auth = this.#options.auth;
    if (auth === undefined) {
      this.#becomeReady();
      return;
    }
    this.#state = "authenticating";
    this.#socket.write(encodeCommand(["AUTH", ...auth]));
  }

  #becomeReady(): void {
    clearTimeout(this.#timer);
    this.#state = "ready";
    this.#outbox.held = false;
    this.#options.onReady?.(this.address);
    this.#decided();
  }

  #receive(chunk: Buffer): void {
    if (this.#state === "closed") return;
    this.lastProgressAt = performance.now();
    chunkReceived(chunk);
    let bytes = chunk;
    if (this.#partialError !== undefined) {
      bytes = Buffer.concat([this.#partialError, chunk]);
      this.#partialError = undefined;
    }
    try {
      if (this.#state === "authenticating") bytes = this.#finishLogin(bytes);
      this.#hand(bytes);
    } catch (error) {
      this.#end(this.#error("UPSTREAM_PROTOCOL", error instanceof Error ? error.message : String(error), error));
    }
  }

  /** Reads the reply to AUTH; what comes behind it is returned. */
  #finishLogin(bytes: Buffer): Buffer {
    const lineEnd = bytes.indexOf("\r\n");
    if (lineEnd < 0 && bytes.length <= MOST_HELD_BYTES) {
      this.#partialError = bytes;
      return bytes.subarray(bytes.length);
    }
    const line = bytes.toString("latin1", 0, lineEnd < 0 ? MOST_HELD_BYTES : lineEnd);
    if (loginVerdict(line) !== "accepted") {
      if (bytes[0] !== MINUS) throw new Error("the node answered AUTH with what is no answer to it");
      this.#end(this.#error("UPSTREAM_AUTHENTICATION", `the node refused to log in: ${line.slice(1)}`, undefined, line));
      return bytes.subarray(bytes.length);
    }
    this.#becomeReady();
    return bytes.subarray(lineEnd + 2);
  }

  /** Finds the replies in `bytes` and hands them to the exchanges they belong to, as much at a time as belongs to one. */
  #hand(bytes: Buffer): void {
    const end = bytes.length;
    const scanner = this.#scanner;
    let pos = 0;
    while (pos < end) {
      const exchange = this.#head;
      if (exchange === undefined) throw new Error("the node sent a reply to nothing");
      const from = pos;
      const missing = exchange.count - exchange.answered;
      let complete = 0;
      let whole = true;
      while (complete < missing && pos < end) {
        const replyStart = pos;
        const isError = bytes[pos] === MINUS && scanner.between;
        const replyEnd = isError ? bytes.indexOf(10, pos) + 1 : scanner.scan(bytes, pos, end);
        if (replyEnd <= 0) {
          whole = false;
          if (isError && end - replyStart <= MOST_HELD_BYTES) {
            this.#partialError = bytes.subarray(replyStart);
            break;
          }
          if (isError) {
            // Too long for a redirection: it passes as it comes, like any other reply.
            this.#fail(exchange, complete, bytes, replyStart, end);
            scanner.scan(bytes, replyStart, end);
          }
          pos = end;
          break;
        }
        if (isError && this.#redirected(exchange, bytes, from, replyStart, replyEnd, complete)) {
          complete = -1;
          pos = replyEnd;
          break;
        }
        pos = replyEnd;
        complete++;
      }
      if (complete < 0) continue;
      exchange.answered += complete;
      if (complete === missing) {
        this.#shift(exchange);
        exchange.answeredAt = this.lastProgressAt;
        this.#options.latency?.observe(this.lastProgressAt - exchange.startedAt, exchange.count);
      }
      if (pos > from) exchange.target.deliver(exchange, bytes, from, pos, complete);
      if (this.#partialError !== undefined || !whole || this.closed) return;
    }
  }

  /** True where the error line at `start` is a redirection: what came before it is delivered, and the target told. */
  #redirected(exchange: Exchange, bytes: Buffer, from: number, start: number, end: number, complete: number): boolean {
    const line = mayRedirect(bytes[start + 1]!) ? bytes.toString("latin1", start, end) : "";
    const redirection = line === "" ? undefined : parseRedirection(line, this.address.host);
    if (redirection === undefined) {
      this.#fail(exchange, complete, bytes, start, end);
      return false;
    }
    exchange.answered += complete;
    if (complete > 0) exchange.target.deliver(exchange, bytes, from, start, complete);
    this.#shift(exchange);
    const rest = exchange.target.redirected(exchange, redirection, Buffer.from(bytes.subarray(start, end)));
    if (rest !== undefined) {
      rest.nextOnConnection = this.#head;
      this.#head = rest;
      this.#tail ??= rest;
    }
    return true;
  }

  /** Books that the reply behind `complete` whole ones is the error that begins at `start`. */
  #fail(exchange: Exchange, complete: number, bytes: Buffer, start: number, end: number): void {
    (exchange.failures ??= []).push({ index: exchange.answered + complete, word: errorWord(bytes, start, end) || "ERR" });
  }

  #shift(exchange: Exchange): void {
    this.#head = exchange.nextOnConnection;
    if (this.#head === undefined) this.#tail = undefined;
    exchange.nextOnConnection = undefined;
  }

  #end(reason: UpstreamError): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#timer);
    this.#outbox.clear();
    this.#socket.destroy();
    let unsent = false;
    let exchange = this.#head;
    if (exchange !== undefined) exchange.torn = !this.#scanner.between;
    this.#head = this.#tail = undefined;
    while (exchange !== undefined) {
      const next: Exchange | undefined = exchange.nextOnConnection;
      exchange.nextOnConnection = undefined;
      unsent ||= exchange === this.#firstUnsent;
      exchange.target.lost(exchange, !unsent, reason);
      exchange = next;
    }
    this.#options.onEnd(this, reason);
    this.#decided();
    this.#onceClosed?.();
  }

  #decided(): void {
    const then = this.#onceDecided;
    this.#onceDecided = undefined;
    then?.();
  }

  #error(code: UpstreamError["code"], message: string, cause?: unknown, reply?: string): UpstreamError {
    return new UpstreamError(code, `${addressKey(this.address)}: ${message}`, { cause, ...(reply !== undefined && { reply }) });
  }
}
