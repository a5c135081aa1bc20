import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { setImmediate as turn, setTimeout as pause } from "node:timers/promises";
import { encodeCommand } from "../../../proxy/resp/encoder.ts";
import type { TestProxy } from "../../support/access-proxy.ts";
import { pieces } from "../../support/pieces.ts";
import type { Random } from "../../support/random.ts";
import { resp } from "../../support/resp.ts";
import { within } from "../../support/wait-for.ts";

/** What such clients have seen, all together. */
export interface IdentityCounts {
  /** Replies that were the ones to their requests, to the byte. */
  right: number;
  /** Connections that a client cut, with replies owed to it. */
  cut: number;
  /** Times that a client did not read for a while. */
  slow: number;
  /** Replies that said that the command's node was lost. */
  lost: number;
  /** Connections that the proxy closed, because the rest of a reply was lost with its node's connection. */
  closed: number;
}

const replyLimitMs = 60_000;
/** Bytes of what is asked and answered: mostly little, now and then more than a write, a chunk and a window hold. */
const sizes = [...Array.from({ length: 60 }, (_, i) => 3 + 3 * i), 500, 500, 500, 4_000, 20_000, 150_000];
const script = "return {KEYS[1], ARGV[1]}";
const lossReply = /^-ERR Teleport: connection to the node lost before it answered, the command may have been executed/;

/** Values that stand in the database before and are never written again: what is read under a name shows whose answer it is. */
export const FIXED: ReadonlyMap<string, string> = new Map(
  Array.from({ length: 2 * sizes.length }, (_, i) => [`fixed:${i}`, `fixed:${i}:`.padEnd(sizes[i % sizes.length]! + 12, String.fromCharCode(97 + (i % 26)))]),
);
const NAMES = [...FIXED.keys()];

interface Asked {
  readonly request: readonly string[];
  readonly reply: Buffer;
}

/**
 * A client whose every request has one right reply, which belongs to no other: it compares what comes with what must come, byte
 * by byte. It sends pipelines of any depth in any pieces, reads slowly at times, and cuts its connection at times.
 */
export class IdentityClient {
  readonly #proxy: TestProxy;
  readonly #name: string;
  readonly #random: Random;
  readonly #counts: IdentityCounts;
  /** Whether nodes' connections are cut: replies may then be errors that say so. */
  readonly #mayBeLost: boolean;
  #connections = 0;
  #requests = 0;
  #counter = 0;
  #counterName = "";

  constructor(proxy: TestProxy, name: string, random: Random, counts: IdentityCounts, mayBeLost: boolean) {
    this.#proxy = proxy;
    this.#name = name;
    this.#random = random;
    this.#counts = counts;
    this.#mayBeLost = mayBeLost;
  }

  /**
   * Goes on until `over` says so.
   * @throws Error at the first reply that is not the right one
   */
  async run(over: () => boolean): Promise<void> {
    while (!over()) {
      const socket = this.#proxy.socket();
      try {
        await within("the TLS handshake", replyLimitMs, once(socket, "secureConnect"));
        await this.#life(socket, over);
      } finally {
        socket.destroy();
      }
    }
  }

  async #life(socket: TLSSocket, over: () => boolean): Promise<void> {
    this.#connections++;
    this.#renameCounter();
    const replies = new ExpectedReplies(socket, this.#counts, this.#mayBeLost, () => {
      this.#renameCounter();
    });
    const login = ["AUTH", "alice", this.#proxy.target.passwords["alice"]!];
    replies.expect({ request: ["AUTH"], reply: Buffer.from("+OK\r\n") });
    socket.write(encodeCommand(login));
    if (!(await replies.all())) return;
    const random = this.#random;
    for (let batches = random.between(1, 60); batches > 0 && !over(); batches--) {
      const asked = Array.from({ length: random.pick([1, 1, 2, 5, 20, 100, 600]) }, () => this.#ask());
      for (const one of asked) replies.expect(one);
      const bytes = Buffer.concat(asked.map(({ request }) => encodeCommand(request)));
      const cuts = [random.between(1, 2_000), random.between(1, 60_000), 65_536];
      for (const piece of random.below(3) === 0 ? pieces(bytes, ...cuts) : [bytes]) {
        socket.write(piece);
        if (random.below(4) === 0) await turn();
      }
      if (random.below(25) === 0) {
        await pause(random.below(10));
        this.#counts.cut++;
        return;
      }
      if (random.below(15) === 0) {
        this.#counts.slow++;
        socket.pause();
        await pause(random.below(150));
        socket.resume();
      }
      if (!(await replies.all())) return;
    }
  }

  #renameCounter(): void {
    this.#counter = 0;
    this.#counterName = `counter:${this.#name}:${this.#connections}:${this.#requests}`;
  }

  #ask(): Asked {
    const random = this.#random;
    const mark = `${this.#name}.${++this.#requests}`;
    const padded = mark.padEnd(random.pick(sizes), "-");
    switch (random.below(8)) {
      case 0:
        return asked(["ECHO", padded], resp(padded));
      case 1: {
        const key = `key:${random.below(1_000)}`;
        return asked(["EVAL_RO", script, "1", key, padded], resp([key, padded]));
      }
      case 2: {
        const names = Array.from({ length: random.between(1, 8) }, () => random.pick(NAMES));
        return asked(["MGET", ...names], resp(names.map((name) => FIXED.get(name)!)));
      }
      case 3:
        // Redis's own error quotes it.
        return asked([`NONSENSE-${mark}`], `-ERR unknown command 'NONSENSE-${mark}', with args beginning with: \r\n`);
      case 4:
        // While it is not known whether a command was executed, nothing is built on it.
        if (!this.#mayBeLost) return asked(["INCR", this.#counterName], `:${++this.#counter}\r\n`);
        return asked(["SETRANGE", `range:${mark}`, "0", padded], `:${padded.length}\r\n`);
      default: {
        const name = random.pick(NAMES);
        return asked(["GET", name], resp(FIXED.get(name)!));
      }
    }
  }
}

function asked(request: readonly string[], reply: string): Asked {
  return { request, reply: Buffer.from(reply, "latin1") };
}

/** Compares what a socket brings with what it must bring. */
class ExpectedReplies {
  readonly #counts: IdentityCounts;
  readonly #mayBeLost: boolean;
  readonly #onLost: () => void;
  #asked: Asked[] = [];
  /** The reply that comes next, and how much of it has come. */
  #next = 0;
  #offset = 0;
  /** An error line in place of the right reply, until it is whole. */
  #line: Buffer = Buffer.alloc(0);
  #closed = false;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: TLSSocket, counts: IdentityCounts, mayBeLost: boolean, onLost: () => void) {
    this.#counts = counts;
    this.#mayBeLost = mayBeLost;
    this.#onLost = onLost;
    socket.on("data", (chunk: Buffer) => {
      if (this.#failure === undefined) this.#compare(this.#line.length > 0 ? Buffer.concat([this.#line, chunk]) : chunk);
      this.#wake();
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  expect(one: Asked): void {
    this.#asked.push(one);
  }

  /**
   * Waits for all that is owed; false where the proxy has closed the connection instead.
   * @throws Error where a reply was another, or the connection was closed without a reason
   */
  async all(): Promise<boolean> {
    while (this.#next < this.#asked.length && !this.#closed && this.#failure === undefined) {
      await within(`the reply to ${this.#shown()}`, replyLimitMs, new Promise<void>((resolve) => (this.#wake = resolve)));
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#next < this.#asked.length) {
      if (!this.#mayBeLost) throw new Error(`the proxy closed the connection before the reply to ${this.#shown()}`);
      this.#counts.closed++;
      return false;
    }
    this.#asked = [];
    this.#next = 0;
    return true;
  }

  #compare(chunk: Buffer): void {
    this.#line = Buffer.alloc(0);
    let pos = 0;
    while (pos < chunk.length) {
      const one = this.#asked[this.#next];
      if (one === undefined) {
        this.#failure = new Error(`bytes to no request: ${JSON.stringify(chunk.toString("latin1", pos, pos + 100))}`);
        return;
      }
      const { reply } = one;
      const step = Math.min(reply.length - this.#offset, chunk.length - pos);
      if (chunk.compare(reply, this.#offset, this.#offset + step, pos, pos + step) !== 0) {
        const end = this.#mayBeLost && this.#offset === 0 && chunk[pos] === "-".charCodeAt(0) ? chunk.indexOf("\n", pos) + 1 : -1;
        if (end === 0) {
          this.#line = chunk.subarray(pos);
          return;
        }
        if (end < 0 || !lossReply.test(chunk.toString("latin1", pos, end))) {
          this.#failure = new Error(`${this.#shown()} was answered ${JSON.stringify(chunk.toString("latin1", pos, pos + 200))} from byte ${this.#offset} on`);
          return;
        }
        this.#counts.lost++;
        this.#onLost();
        this.#next++;
        pos = end;
        continue;
      }
      pos += step;
      this.#offset += step;
      if (this.#offset < reply.length) return;
      this.#offset = 0;
      this.#next++;
      this.#counts.right++;
    }
  }

  #shown(): string {
    return `request ${this.#next}, ${(this.#asked[this.#next]?.request.join(" ") ?? "").slice(0, 150)}`;
  }
}
