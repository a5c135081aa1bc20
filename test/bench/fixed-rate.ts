import { createHistogram } from "node:perf_hooks";
import type { RecordableHistogram } from "node:perf_hooks";
import type { TLSSocket } from "node:tls";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { ReplyScanner } from "../../proxy/resp/reply-scanner.ts";
import { keyName, mostKeys } from "./load.ts";
import { clientsWith } from "./open-client.ts";
import type { Peer } from "./peer.ts";

/** Latencies under a load that does not wait for replies. */
export interface FixedRateSample {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** 99th percentile of how late the load generator itself was; where this is not small, the machine had no room for it. */
  readonly generatorP99Ms: number;
}

const connections = 51;
const valueBytes = 64;
/** Requests that are due are sent so often. */
const tickMs = 1;
const warmUpMs = 500;
const replyLimitMs = 10_000;
const nanosecondsOf = (ms: number): number => Math.max(1, Math.round(ms * 1e6));
const msOf = (histogram: RecordableHistogram, percentile: number): number => histogram.percentile(percentile) / 1e6;

/** A connection on which requests wait for their replies in order. */
class LoadConnection {
  readonly socket: TLSSocket;
  readonly #scanner = new ReplyScanner();
  readonly #latencies: RecordableHistogram;
  #sentAt: number[] = [];
  #first = 0;
  #frames: Buffer[] = [];

  constructor(socket: TLSSocket, latencies: RecordableHistogram) {
    this.socket = socket;
    this.#latencies = latencies;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      const now = performance.now();
      for (let pos = 0; pos < chunk.length; ) {
        pos = this.#scanner.scan(chunk, pos, chunk.length);
        if (pos < 0) return;
        this.#latencies.record(nanosecondsOf(now - this.#sentAt[this.#first++]!));
      }
      if (this.#first === this.#sentAt.length) {
        this.#sentAt = [];
        this.#first = 0;
      }
    });
  }

  get owed(): number {
    return this.#sentAt.length - this.#first;
  }

  add(frame: Buffer, now: number): void {
    this.#sentAt.push(now);
    this.#frames.push(frame);
  }

  flush(): void {
    if (this.#frames.length === 0) return;
    this.socket.write(this.#frames.length === 1 ? this.#frames[0]! : Buffer.concat(this.#frames));
    this.#frames = [];
  }
}

/**
 * Sends GETs at a steady rate, whatever the replies do, so that a peer that falls behind shows in every latency behind it.
 *
 * @param rate requests per second
 * @param ms how long
 * @throws Error where replies are missing at the end
 */
export async function runAtRate(peer: Peer, password: string, rate: number, ms: number): Promise<FixedRateSample> {
  const latencies = createHistogram();
  const lateness = createHistogram();
  const { ports, files, portOf } = peer.clients;
  const openClient = clientsWith(files, password, { checkServerIdentity: () => undefined });
  const open = async (port: number): Promise<LoadConnection> => new LoadConnection(await openClient(port), latencies);
  const byPort = new Map<number, LoadConnection[]>();
  for (const port of ports) byPort.set(port, await Promise.all(Array.from({ length: connections / ports.length }, () => open(port))));
  const all = [...byPort.values()].flat();
  const send = (index: number, now: number): void => {
    const key = keyName(valueBytes, Math.floor(Math.random() * mostKeys));
    const there = byPort.get(portOf(key))!;
    there[index % there.length]!.add(encodeCommand(["GET", key]), now);
  };
  try {
    await drive(rate, warmUpMs, send, all, lateness);
    latencies.reset();
    lateness.reset();
    await drive(rate, ms, send, all, lateness);
    const deadline = performance.now() + replyLimitMs;
    while (all.some(({ owed }) => owed > 0)) {
      if (performance.now() > deadline) throw new Error(`${peer.name} did not answer within ${replyLimitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
  } finally {
    for (const { socket } of all) socket.destroy();
  }
  return { requestsPerSecond: rate, p50Ms: msOf(latencies, 50), p99Ms: msOf(latencies, 99), p999Ms: msOf(latencies, 99.9), generatorP99Ms: msOf(lateness, 99) };
}

function drive(rate: number, ms: number, send: (index: number, now: number) => void, all: readonly LoadConnection[], lateness: RecordableHistogram): Promise<void> {
  const start = performance.now();
  let sent = 0;
  let last = start;
  return new Promise((resolve) => {
    const tick = (): void => {
      const now = performance.now();
      lateness.record(nanosecondsOf(now - last - tickMs));
      last = now;
      for (const due = (Math.min(now - start, ms) * rate) / 1_000; sent < due; sent++) send(sent, now);
      for (const connection of all) connection.flush();
      if (now - start >= ms) resolve();
      else setTimeout(tick, tickMs);
    };
    tick();
  });
}
