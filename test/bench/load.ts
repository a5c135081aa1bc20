import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Peer } from "./peer.ts";
import { cpuMicros, processTree, residentKib } from "./process-cost.ts";
import { sum } from "./statistics.ts";

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
  /** Processor time of the proxy for one request, without what its connections took to be made; undefined without a proxy. */
  readonly cpuMicros: number | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentKib: number | undefined;
}

/** Keys of a load, or fewer where their values are large. */
export const mostKeys = 100_000;
/** Bytes that all values of one size have together at most; of large ones there are fewer. */
export const mostValueBytes = 256 * 1024 * 1024;
const runLimitMs = 180_000;
/** What went wrong comes last. */
const quotedCharacters = 300;

/** A cell in few words. */
export function cellName({ command, bytes, pipeline, connections }: Cell): string {
  return `${command} ${bytes} B, pipeline ${pipeline}, ${connections} connections`;
}

/**
 * Processor time in microseconds that a peer takes for handshakes and logins of so many connections, with a request on each: about a
 * millisecond for one, which would show in what is said of requests. 0 without a proxy.
 */
export async function connectMicros(peer: Peer, connections: number): Promise<number> {
  const { cpuMicros: each } = await runLoad(peer, { command: "GET", bytes: 64, pipeline: 1, connections, requests: connections });
  return (each ?? 0) * connections;
}

/**
 * Runs redis-benchmark once against a peer.
 * @param connecting what its connections are known to take, in microseconds; default: 0, and it counts with the requests
 */
export async function runLoad(peer: Peer, cell: Cell, connecting = 0): Promise<Sample> {
  const pids = peer.pid === undefined ? [] : processTree(peer.pid);
  const before = sum(pids.map(cpuMicros));
  const args = [...peer.connect, ...cellArguments(cell, peer.connect.includes("--cluster"))];
  const running = promisify(execFile)("redis-benchmark", args, { timeout: runLimitMs, maxBuffer: 64 * 1024 * 1024 });
  // It may have ended before it has read all; what that was is told by its own end.
  running.child.stdin!.on("error", () => undefined).end(cell.command === "SET" ? "x".repeat(cell.bytes) : "");
  const { stdout } = await running.catch((error: unknown) => {
    // Not the message: it has the whole command line, and that a password.
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().slice(-quotedCharacters) : "";
    throw new Error(`redis-benchmark failed at ${peer.name}, ${cellName(cell)}: ${said === "" ? "no word of why" : said}`);
  });
  const after = sum(pids.map(cpuMicros));
  const row = parseCsv(stdout);
  return {
    ...row,
    cpuMicros: peer.pid === undefined ? undefined : Math.max(0, after - before - connecting) / cell.requests,
    residentKib: peer.pid === undefined ? undefined : sum(pids.map(residentKib)),
  };
}

/** The key of that number, below 100,000, whose value has so many bytes: as redis-benchmark makes it of `__rand_int__`. */
export function keyName(bytes: number, index: number): string {
  return keyPattern(bytes).replace("__rand_int__", String(index).padStart(12, "0"));
}

function keyPattern(bytes: number): string {
  return `${bytes}:__rand_int__`;
}

/**
 * redis-benchmark's arguments for a load. Keys are named by their value's size, so that a GET finds what was written for it.
 *
 * @param routes whether redis-benchmark itself goes to the nodes: it can only where it may choose a key's hash tag
 */
export function cellArguments({ command, bytes, pipeline, connections, requests }: Cell, routes: boolean): string[] {
  const keys = Math.max(1, Math.min(mostKeys, Math.floor(mostValueBytes / bytes)));
  const key = `${routes ? "{tag}" : ""}${keyPattern(bytes)}`;
  const common = ["-c", String(connections), "-n", String(requests), "-P", String(pipeline), "-r", String(keys), "--csv"];
  // An argument holds 128 KiB at most (execve(2)): the value comes by standard input.
  if (command === "SET") return [...common, "-x", "SET", key];
  return [...common, command, ...Array.from({ length: command === "MGET" ? 10 : 1 }, () => key)];
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
