import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Peer } from "./peer.ts";
import { cpuMicros, residentKib } from "./process-cost.ts";

/** One kind of load. */
export interface Cell {
  readonly command: "GET" | "SET" | "MGET";
  /** Of a value. */
  readonly bytes: number;
  /** Requests that a client sends before it reads replies. */
  readonly pipeline: number;
  readonly connections: number;
  /** Requests of one run. */
  readonly requests: number;
}

/** What one run showed. */
export interface Sample {
  readonly requestsPerSecond: number;
  /** Processor time of the proxy for one request; undefined without a proxy. */
  readonly cpuMicros: number | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentKib: number | undefined;
}

const keys = 100_000;
const runLimitMs = 180_000;

/** A cell in few words. */
export function cellName({ command, bytes, pipeline, connections }: Cell): string {
  return `${command} ${bytes} B, pipeline ${pipeline}, ${connections} connections`;
}

/** Runs redis-benchmark once against a peer. */
export async function runLoad(peer: Peer, cell: Cell): Promise<Sample> {
  const before = peer.pid === undefined ? 0 : cpuMicros(peer.pid);
  const args = [...peer.connect, ...cellArguments(cell)];
  const { stdout } = await promisify(execFile)("redis-benchmark", args, { timeout: runLimitMs, maxBuffer: 64 * 1024 * 1024 });
  const after = peer.pid === undefined ? 0 : cpuMicros(peer.pid);
  const row = parseCsv(stdout);
  return {
    ...row,
    cpuMicros: peer.pid === undefined ? undefined : (after - before) / cell.requests,
    residentKib: peer.pid === undefined ? undefined : residentKib(peer.pid),
  };
}

function cellArguments({ command, bytes, pipeline, connections, requests }: Cell): string[] {
  const common = ["-c", String(connections), "-n", String(requests), "-P", String(pipeline), "-d", String(bytes), "-r", String(keys), "--csv"];
  if (command !== "MGET") return [...common, "-t", command.toLowerCase()];
  return [...common, "MGET", ...Array.from({ length: 10 }, () => "key:__rand_int__")];
}

/**
 * Reads what redis-benchmark writes with --csv: a heading, then a row of rate and latencies in milliseconds.
 * @throws Error where there is no such row
 */
export function parseCsv(text: string): Pick<Sample, "requestsPerSecond" | "p50Ms" | "p99Ms"> {
  const rows = text.split("\n").filter((line) => line.startsWith('"') && !line.startsWith('"test"'));
  const cells = rows.at(-1)?.split('","').map((cell) => cell.replaceAll('"', ""));
  if (cells === undefined || cells.length < 8) throw new Error(`redis-benchmark wrote no result: ${text.slice(0, 300)}`);
  const [rate, , , p50, , p99] = cells.slice(-7).map(Number);
  return { requestsPerSecond: rate!, p50Ms: p50!, p99Ms: p99! };
}
