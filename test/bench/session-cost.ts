import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { AuditLog } from "../../proxy/access/audit.ts";
import { Database } from "../../proxy/cluster/database.ts";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { FrameReader } from "../../proxy/resp/frame-reader.ts";
import { GUIDE_PROFILE } from "../../proxy/routing/profile.ts";
import { openSession } from "../support/bare-session.ts";
import { Random } from "../support/random.ts";
import { resp } from "../support/resp.ts";
import { waitFor } from "../support/wait-for.ts";

/** What a GET costs of the proxy's own JavaScript, in nanoseconds. */
export interface SessionCost {
  readonly pipeline: number;
  /** The least that a turn of all clients took: what others do on the machine is not in it. */
  readonly leastNs: number;
  readonly medianNs: number;
}

const clientCount = 50;
const turnsOfARound = 20;
const rounds = 200;
const keys = 1_000_000;
const chunkBytes = 16_384;
const answerLimitMs = 10_000;
const value = Buffer.from(resp("v".repeat(64)));
const nodeLines = ["0-5460", "5461-10922", "10923-16383"].map((slots, i) => `${String(i).repeat(40)} 127.0.0.1:${7001 + i}@${17_001 + i} master - 0 0 ${i + 1} connected ${slots}`);
const answers: Readonly<Record<string, Buffer>> = {
  AUTH: Buffer.from("+OK\r\n"),
  CLUSTER: Buffer.from(resp(nodeLines.join("\n"))),
  COMMAND: Buffer.from(resp([["get", 2, ["readonly"], 1, 1, 1]])),
  GET: value,
};

/** A socket with no system behind it: what is written to it is handed to a function. */
class HandedSocket extends EventEmitter {
  readonly writable = true;
  readonly writableLength = 0;
  readonly write: (bytes: Buffer) => true;

  constructor(take: (bytes: Buffer) => void) {
    super();
    this.write = (bytes) => {
      take(bytes);
      return true;
    };
    for (const name of ["cork", "uncork", "destroy", "end", "pause", "resume", "setKeepAlive", "setNoDelay", "setTimeout"]) Object.assign(this, { [name]: (): void => undefined });
  }

  /** As what the proxy takes it for: of that it calls nothing that is not here. */
  get socket(): Socket {
    return this as unknown as Socket;
  }
}

/** Three masters that answer when they are told to; the time that they take is theirs, not the proxy's. */
class HandedNodes {
  spentMs = 0;
  readonly #reader = new FrameReader();
  #waiting: { readonly socket: HandedSocket; readonly reply: Buffer }[] = [];

  dial(): Socket {
    const socket: HandedSocket = new HandedSocket((bytes) => {
      const began = performance.now();
      this.#waiting.push({ socket, reply: this.#replyTo(bytes) });
      this.spentMs += performance.now() - began;
    });
    setImmediate(() => socket.emit("connect"));
    return socket.socket;
  }

  /** Gives all that has been asked for. */
  answer(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { socket, reply } of waiting) for (let at = 0; at < reply.length; at += chunkBytes) socket.emit("data", reply.subarray(at, at + chunkBytes));
  }

  #replyTo(bytes: Buffer): Buffer {
    const replies: Buffer[] = [];
    const { offsets } = this.#reader;
    for (let at = 0; at < bytes.length; ) {
      const start = at;
      at = this.#reader.read(bytes, start);
      replies.push(answers[bytes.toString("latin1", start + offsets[0]!, start + offsets[1]!)]!);
    }
    return Buffer.concat(replies);
  }
}

/**
 * Measures what 50 clients with pipelined GETs of random keys cost from a socket's bytes to a socket's bytes: parsing, routing,
 * order, metrics and audit. There are no sockets, no TLS and no other process in it, so it is steady on a machine that others use.
 *
 * @param pipeline GETs that a client sends at a time
 */
export async function measureSession(pipeline: number): Promise<SessionCost> {
  const nodes = new HandedNodes();
  const serviceUser = { user: "proxy", auth: [Buffer.from("proxy"), Buffer.from("secret")] };
  const times = { connectTimeoutMs: 5_000, retryBudgetMs: 5_000, topologyRefreshMs: 3_600_000 };
  const database = new Database({ name: "bench", mode: "cluster", seeds: [{ host: "127.0.0.1", port: 7001 }], profile: GUIDE_PROFILE, dial: () => nodes.dial(), serviceUser, log: () => undefined, ...times });
  database.start();
  const audit = AuditLog.over("", { write: (_bytes, _offset, length) => Promise.resolve({ bytesWritten: length }), close: () => Promise.resolve() });
  let received = 0;
  const clients = Array.from({ length: clientCount }, (_, id) => {
    const socket = new HandedSocket((bytes) => (received += bytes.length));
    openSession(id, socket.socket, database, { audit });
    return socket;
  });
  const answered = async (bytes: number): Promise<void> => {
    await waitFor("the replies come", answerLimitMs, () => {
      nodes.answer();
      return received >= bytes;
    });
  };
  for (const client of clients) client.emit("data", encodeCommand(["AUTH", "alice", "secret"]));
  await answered(clientCount * "+OK\r\n".length);
  const random = new Random(1);
  const chunks = Array.from({ length: 4 * clientCount }, () => Buffer.concat(Array.from({ length: pipeline }, () => encodeCommand(["GET", `key:${String(random.below(keys)).padStart(12, "0")}`]))));
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let ownMs = 0;
    nodes.spentMs = 0;
    for (let turn = 0; turn < turnsOfARound; turn++) {
      const all = received + clientCount * pipeline * value.length;
      // Bytes of their own, as a socket brings them.
      const bytes = clients.map((_, i) => Buffer.from(chunks[(7 * i + 13 * turn + round) % chunks.length]!));
      const began = performance.now();
      clients.forEach((client, i) => client.emit("data", bytes[i]));
      await endOfTurn();
      nodes.answer();
      await endOfTurn();
      ownMs += performance.now() - began;
      await answered(all);
    }
    costs.push(((ownMs - nodes.spentMs) * 1e6) / (turnsOfARound * clientCount * pipeline));
  }
  database.close();
  await audit.close();
  costs.sort((a, b) => a - b);
  return { pipeline, leastNs: costs[0]!, medianNs: costs[rounds / 2]! };
}

/** What is collected during a turn of the event loop is written at its end. */
async function endOfTurn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}
