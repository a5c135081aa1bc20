import { setTimeout as pause } from "node:timers/promises";
import type { ReplyValue } from "../../../proxy/resp/reply-decoder.ts";
import { slotOf } from "../../../proxy/routing/slot.ts";
import type { ProxyDoor } from "../../support/access-proxy.ts";
import { waitFor, within } from "../../support/wait-for.ts";
import type { Channel } from "./channel.ts";
import { libraryChannel, rawChannel } from "./channel.ts";
import { History, outcomeOf } from "./history.ts";
import type { Outcome } from "./history.ts";
import { Random } from "../../support/random.ts";

/** How a load is made. */
export interface LoadOptions {
  readonly clients: number;
  /** Every second client is a client library with one command at a time; the others pipeline up to so many. Default 12. */
  readonly depth?: number;
  /** Milliseconds that a client pauses between two bursts. Default 4: the machine is shared. */
  readonly pauseMs?: number;
  /** All clients are client libraries as they come, for what closes connections: those that pipeline too. */
  readonly resends?: boolean;
  /** Keys are named so; two loads on one cluster must not share them. Default "load". */
  readonly name?: string;
  /** All keys lie in slots for which this is true. Default: anywhere. */
  readonly inSlot?: (slot: number) => boolean;
}

interface Own {
  /** What may be there by all that the client knows; more than one value where a write's fate is unknown. */
  values: Set<string | null>;
  writtenAt: number;
}

/** Longer than any command may take: a command that nobody has answered by then is lost, and a client library would wait for it forever. */
const lastReplyLimitMs = 90_000;
const sharedKeys = 24;
const ownKeys = 16;
let seed = 1;

/** Clients that read and write through the proxy until they are stopped, and write down all they see. */
export class Load {
  readonly history = new History();
  readonly #clients: LoadClient[];
  readonly #running: Promise<unknown>;

  constructor(proxy: ProxyDoor, options: LoadOptions) {
    this.#clients = Array.from({ length: options.clients }, (_, id) => {
      const pipelined = id % 2 === 1;
      const channel = pipelined && options.resends !== true ? rawChannel(proxy) : libraryChannel(proxy, options.resends);
      return new LoadClient(id, channel, this.history, keyNames(options), pipelined ? (options.depth ?? 12) : 1, options.pauseMs ?? 4);
    });
    this.#running = Promise.all(this.#clients.map((client) => client.run()));
  }

  /** Waits until so many further commands have been answered. */
  async progress(commands: number, limitMs = 30_000): Promise<void> {
    const goal = this.history.answered + commands;
    await waitFor(`${commands} further commands are answered`, limitMs, () => this.history.answered >= goal);
  }

  /**
   * Lets each client finish what it has begun. What they may find at last under the keys that are theirs alone is returned.
   * @throws WaitTimeoutError a command was not answered at all
   */
  async stop(): Promise<ReadonlyMap<string, ReadonlySet<string | null>>> {
    for (const client of this.#clients) client.stop();
    try {
      await within("each client's last command is answered", lastReplyLimitMs, this.#running);
    } finally {
      // A connection that is left open would keep this process from ending.
      for (const client of this.#clients) client.leave();
    }
    return new Map(this.#clients.flatMap((client) => client.expected()));
  }
}

/** Full names of keys, which lie where they are wanted. */
function keyNames({ name = "load", inSlot = () => true }: LoadOptions): (short: string) => string {
  const known = new Map<string, string>();
  return (short) => {
    let full = known.get(short);
    for (let i = 0; full === undefined; i++) {
      const tried = Buffer.from(`${name}:${short}${i === 0 ? "" : `~${i}`}`);
      if (inSlot(slotOf(tried, 0, tried.length))) known.set(short, (full = tried.toString()));
    }
    return full;
  };
}

class LoadClient {
  readonly #id: number;
  readonly #channel: Channel;
  readonly #history: History;
  readonly #named: (name: string) => string;
  readonly #depth: number;
  readonly #pauseMs: number;
  readonly #random = new Random(seed++);
  readonly #own = new Map<string, Own>();
  #sequence = 0;
  #stopped = false;

  constructor(id: number, channel: Channel, history: History, named: (name: string) => string, depth: number, pauseMs: number) {
    this.#id = id;
    this.#channel = channel;
    this.#history = history;
    this.#named = named;
    this.#depth = depth;
    this.#pauseMs = pauseMs;
  }

  stop(): void {
    this.#stopped = true;
  }

  expected(): [string, ReadonlySet<string | null>][] {
    return [...this.#own].map(([key, { values }]) => [key, values]);
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      const depth = this.#random.between(1, this.#depth);
      // Replies come in order, so that each handler finds what those before it have booked.
      await Promise.all(Array.from({ length: depth }, () => this.#step()));
      await pause(this.#pauseMs);
    }
  }

  /** Closes its connection, whatever is owed to it. */
  leave(): void {
    this.#channel.close();
  }

  #step(): Promise<void> {
    const dice = this.#random.below(100);
    const value = `${this.#id}.${++this.#sequence}`;
    const shared = this.#named(`shared:${this.#random.below(sharedKeys)}`);
    const own = this.#named(`own:${this.#id}:${this.#random.below(ownKeys)}`);
    // Two keys of one slot.
    const pair = this.#named(`pair:${this.#id}:${this.#random.below(ownKeys / 4)}`);
    if (dice < 20) return this.#write(["SET", own, value], [own], value);
    if (dice < 35) return this.#read(["GET", own], [own]);
    if (dice < 50) return this.#sharedWrite(shared, value);
    if (dice < 70) return this.#sharedRead(shared);
    if (dice < 80) return this.#append(this.#named(`log:${this.#random.below(sharedKeys)}`), value);
    if (dice < 85) return this.#increment(this.#named(`count:${this.#random.below(sharedKeys)}`));
    const keys = [`{${pair}}a`, `{${pair}}b`];
    if (dice < 90) return this.#write(["MSET", keys[0]!, value, keys[1]!, value], keys, value);
    if (dice < 95) return this.#write(["SET", keys[0]!, value], [keys[0]!], value);
    return this.#read(["MGET", ...keys], keys);
  }

  async #ask(key: string, command: readonly string[]): Promise<{ reply?: ReplyValue; outcome: Outcome; invokedAt: number; respondedAt: number }> {
    const invokedAt = performance.now();
    try {
      const reply = await this.#channel.issue(command);
      const respondedAt = performance.now();
      this.#history.answered++;
      this.#history.booked(this.#id, invokedAt, respondedAt);
      return { reply, outcome: "done", invokedAt, respondedAt };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const respondedAt = performance.now();
      this.#history.errors.push({ client: this.#id, key, invokedAt, respondedAt, message: `${command[0]!}: ${message}` });
      return { outcome: outcomeOf(message), invokedAt, respondedAt };
    }
  }

  async #write(command: readonly string[], keys: readonly string[], value: string): Promise<void> {
    const { reply, outcome, respondedAt } = await this.#ask(keys[0]!, command);
    if (outcome === "done" && reply !== "OK") this.#misplaced(command, reply);
    for (const key of keys) {
      const own = this.#ownOf(key);
      if (outcome === "done") this.#own.set(key, { values: new Set([value]), writtenAt: respondedAt });
      else if (outcome === "unknown") own.values.add(value);
    }
  }

  async #read(command: readonly string[], keys: readonly string[]): Promise<void> {
    const { reply, outcome } = await this.#ask(keys[0]!, command);
    if (outcome !== "done") return;
    const values = command[0] === "MGET" ? reply : [reply ?? null];
    if (!Array.isArray(values) || values.length !== keys.length) {
      this.#misplaced(command, reply);
      return;
    }
    keys.forEach((key, i) => {
      const own = this.#ownOf(key);
      const found = values[i] as string | null;
      if (own.values.has(found)) return;
      this.#history.mismatches.push({ client: this.#id, key, expected: [...own.values], found, writtenAt: own.writtenAt });
      this.#own.set(key, { values: new Set([found]), writtenAt: own.writtenAt });
    });
  }

  async #sharedWrite(key: string, value: string): Promise<void> {
    const { reply, outcome, invokedAt, respondedAt } = await this.#ask(key, ["SET", key, value]);
    if (outcome === "done" && reply !== "OK") this.#misplaced(["SET", key], reply);
    this.#history.operations.push({ client: this.#id, key, kind: "write", value, invokedAt, respondedAt, outcome });
  }

  async #sharedRead(key: string): Promise<void> {
    const { reply, outcome, invokedAt, respondedAt } = await this.#ask(key, ["GET", key]);
    if (outcome !== "done") return;
    if (reply !== null && !/^\d+\.\d+$/.test(String(reply))) this.#misplaced(["GET", key], reply);
    this.#history.operations.push({ client: this.#id, key, kind: "read", value: reply as string | null, invokedAt, respondedAt, outcome });
  }

  async #append(key: string, element: string): Promise<void> {
    const { reply, outcome, respondedAt } = await this.#ask(key, ["RPUSH", key, element]);
    if (outcome === "done" && typeof reply !== "number") this.#misplaced(["RPUSH", key], reply);
    this.#history.appends.push({ key, element, length: reply as number | undefined, respondedAt, outcome });
  }

  async #increment(key: string): Promise<void> {
    const { reply, outcome } = await this.#ask(key, ["INCR", key]);
    if (outcome === "done" && typeof reply !== "number") this.#misplaced(["INCR", key], reply);
    this.#history.increments.push({ key, value: reply as number | undefined, outcome });
  }

  #ownOf(key: string): Own {
    let own = this.#own.get(key);
    if (own === undefined) this.#own.set(key, (own = { values: new Set([null]), writtenAt: -Infinity }));
    return own;
  }

  #misplaced(command: readonly string[], reply: unknown): void {
    this.#history.misplaced.push(`client ${this.#id}: ${command.join(" ")} was answered ${JSON.stringify(reply)}`);
  }
}
