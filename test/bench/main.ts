/** `npm run bench`: what the access proxy costs, beside a direct connection and other proxies. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeLeaf } from "../support/certificates.ts";
import { TestCluster } from "../support/redis-cluster.ts";
import { cellName, connectMicros, mostValueBytes, runLoad } from "./load.ts";
import type { Cell, Sample } from "./load.ts";
import { runAtRate } from "./fixed-rate.ts";
import type { FixedRateSample } from "./fixed-rate.ts";
import { measureConnections } from "./connections.ts";
import type { ConnectionCost } from "./connections.ts";
import { curvePlot } from "./curve-plot.ts";
import { costAlong, curves } from "./curves.ts";
import { loadUser, PeerUnavailableError } from "./peer.ts";
import type { Peer, PeerContext } from "./peer.ts";
import { startDirect } from "./peers/direct.ts";
import { startEnvoy } from "./peers/envoy.ts";
import { startHaproxy } from "./peers/haproxy.ts";
import { startRedisAccess, startTwoWorkers } from "./peers/redis-access.ts";
import { plot } from "./plot.ts";
import { latencyTable, summarize, table } from "./report.ts";
import type { SummaryRow } from "./report.ts";
import { measureSession } from "./session-cost.ts";

const HELP = `Usage: npm run bench [-- options]

Measures requests per second, processor time for a request, latencies and memory of the access proxy, with mutual TLS on both
sides and one worker, interleaved with a direct connection, Envoy's redis_proxy and HAProxy as a relay of bytes.

Options:
  --quick          fewer cells and rounds
  --rounds N       interleaved rounds, of which medians are shown (default 5; with --quick 3)
  --peers A,B      only these: direct, redis-access, envoy, haproxy (default all), two-workers (redis-access with two)
  --cells TEXT     only cells whose name holds the text, such as "pipeline 16"
  --curves         in place of the cells: what a GET costs along the number of connections, the depth of pipelines, the size of values
  --session        in place of the cells: what a GET costs of the proxy's own JavaScript, without sockets; steady on a busy machine
  --connections N  also opens so many idle connections to the access proxy: memory for each, handshakes, resumption
  --latency        also the latencies of GETs sent at 60 % of the rate that the access proxy reached at pipeline 1, whatever the replies do
  --json FILE      writes all samples as JSON
  --svg DIR        draws requests per second and processor time, or the curves, as SVG, into this directory
  --help           this text
`;

const ownName = "redis-access";
const shareOfMost = 0.6;
const fixedRateMs = 3_000;
const fillRequests = 200_000;
/** Values of more are written one by one. */
const largeBytes = 4_096;

const starters: Readonly<Record<string, (context: PeerContext) => Promise<Peer>>> = {
  direct: startDirect,
  "redis-access": startRedisAccess,
  envoy: startEnvoy,
  haproxy: startHaproxy,
  "two-workers": startTwoWorkers,
};
const usualPeers = ["direct", ownName, "envoy", "haproxy"];

function cells(quick: boolean): Cell[] {
  const cell = (command: Cell["command"], bytes: number, pipeline: number, connections: number, requests: number): Cell => ({ command, bytes, pipeline, connections, requests });
  const main = [cell("GET", 64, 1, 50, 100_000), cell("GET", 64, 16, 50, 600_000), cell("GET", 64, 64, 50, 1_000_000)];
  if (quick) return main;
  return [
    ...main,
    ...[cell("SET", 64, 1, 50, 100_000), cell("SET", 64, 16, 50, 600_000), cell("SET", 64, 64, 50, 1_000_000)],
    ...[cell("GET", 4096, 1, 50, 60_000), cell("GET", 4096, 16, 50, 200_000), cell("SET", 4096, 16, 50, 200_000)],
    ...[cell("MGET", 64, 1, 50, 40_000), cell("MGET", 64, 16, 50, 60_000)],
    ...[cell("GET", 64, 1, 1, 20_000), cell("GET", 64, 1, 1000, 200_000), cell("GET", 64, 16, 1000, 1_000_000)],
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, rounds: { type: "string" }, peers: { type: "string" }, cells: { type: "string" }, json: { type: "string" }, svg: { type: "string" }, connections: { type: "string" }, curves: { type: "boolean" }, session: { type: "boolean" }, latency: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return;
  }
  if (values.session === true) {
    await sessionCosts();
    return;
  }
  // Now, as what cannot be made would be told of when all is measured.
  if (values.svg !== undefined) mkdirSync(values.svg, { recursive: true });
  const quick = values.quick ?? false;
  const rounds = Number(values.rounds ?? (quick ? 3 : 5));
  const names = values.peers?.split(",") ?? usualPeers;
  const offered = values.curves === true ? curves.flatMap(({ points }) => points.map(({ cell }) => cell)) : cells(quick);
  const chosen = [...new Map(offered.map((cell) => [cellName(cell), cell])).values()].filter((cell) => cellName(cell).includes(values.cells ?? ""));
  const directory = mkdtempSync(join(tmpdir(), "redis-access-bench-"));
  const cluster = await TestCluster.start();
  const peers: Peer[] = [];
  try {
    const context = { cluster, directory, cache: join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "redis-access/bench"), files: await writeFiles(cluster, directory) };
    for (const name of names) {
      const peer = await startPeer(name, context);
      if (peer !== undefined) peers.push(peer);
    }
    const samples = await measure(peers, chosen, rounds);
    const summary = summarize(samples);
    process.stdout.write(`${table(summary)}\n`);
    const latencies = values.latency === true ? await latenciesAtFixedRate(peers, summary, rounds, cluster) : undefined;
    if (latencies !== undefined) process.stdout.write(`\n${latencyTable(latencies)}\n`);
    const connections = values.connections === undefined ? undefined : await idleClients(peers, Number(values.connections), context);
    if (connections !== undefined) {
      const { kibEach, handshakeMicros, resumedMicros } = connections;
      process.stdout.write(`${connections.connections} idle clients: ${kibEach.toFixed(1)} KiB each; handshake and login ${handshakeMicros.toFixed(0)} us of CPU, ${resumedMicros.toFixed(0)} us where a TLS session is resumed\n`);
    }
    const runs = Object.fromEntries([...samples].map(([cell, byPeer]) => [cell, Object.fromEntries(byPeer)]));
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rounds, samples: runs, summary, latencies: latencies && Object.fromEntries(latencies), connections }, null, 2)}\n`);
    if (values.svg !== undefined) (values.curves === true ? drawCurves : draw)(values.svg, summary);
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function sessionCosts(): Promise<void> {
  for (const pipeline of [1, 16, 64]) {
    const { leastNs, medianNs } = await measureSession(pipeline);
    process.stdout.write(`GET 64 B, pipeline ${pipeline}: ${Math.round(leastNs)} ns at least, ${Math.round(medianNs)} in the middle\n`);
  }
}

async function idleClients(peers: readonly Peer[], count: number, { cluster }: PeerContext): Promise<ConnectionCost> {
  const peer = peers.find(({ name }) => name === ownName);
  if (peer?.pid === undefined || !(count > 0)) throw new Error("--connections: expected a number above 0, and redis-access among the peers");
  process.stderr.write(`${count} idle connections\n`);
  return measureConnections({ pid: peer.pid, port: peer.clients.ports[0]!, files: peer.clients.files }, cluster.passwords[loadUser]!, count);
}

/** Interleaved as the loads are. */
async function latenciesAtFixedRate(peers: readonly Peer[], summary: readonly SummaryRow[], rounds: number, cluster: TestCluster): Promise<Map<string, FixedRateSample[]>> {
  const most = summary.find(({ cell, peer }) => peer === ownName && / pipeline 1, 50 /.test(cell))?.requestsPerSecond;
  if (most === undefined) throw new Error("--latency: expected redis-access among the peers, and a cell of pipeline 1 and 50 connections");
  const samples = new Map(peers.map(({ name }) => [name, [] as FixedRateSample[]]));
  for (let round = 1; round <= rounds; round++) {
    process.stderr.write(`round ${round} of ${rounds}: latencies at a fixed rate\n`);
    for (const peer of peers) samples.get(peer.name)!.push(await runAtRate(peer, cluster.passwords[loadUser]!, Math.round(shareOfMost * most), fixedRateMs));
  }
  return samples;
}

function draw(directory: string, summary: readonly SummaryRow[]): void {
  const gets = summary.filter(({ cell }) => /^GET 64 B, pipeline \d+, 50 /.test(cell));
  const machine = "GET of 64 bytes, 50 connections, mutual TLS on both sides; each group has its own scale";
  writeFileSync(join(directory, "requests-per-second.svg"), plot(gets, { title: "Requests per second (more is better)", unit: machine, value: (row) => row.requestsPerSecond }));
  writeFileSync(join(directory, "cpu-per-request.svg"), plot(gets, { title: "Processor time of the proxy for a request, in microseconds (less is better)", unit: machine, value: (row) => row.cpuMicros }));
}

function drawCurves(directory: string, summary: readonly SummaryRow[]): void {
  for (const curve of curves) {
    const points = costAlong(curve, summary).filter(({ values }) => values.size > 0);
    if (points.length === 0) continue;
    const svg = curvePlot(points, { title: "Processor time of the proxy for a GET, in microseconds", xAxis: curve.xAxis, unit: "mutual TLS on both sides; both axes are logarithmic" });
    writeFileSync(join(directory, `cost-by-${curve.name}.svg`), svg);
  }
}

async function startPeer(name: string, context: PeerContext): Promise<Peer | undefined> {
  const start = starters[name];
  if (start === undefined) throw new Error(`--peers: ${name} is not known; expected some of ${Object.keys(starters).join(", ")}`);
  try {
    return await start(context);
  } catch (error) {
    if (!(error instanceof PeerUnavailableError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return undefined;
  }
}

async function writeFiles(cluster: TestCluster, directory: string): Promise<PeerContext["files"]> {
  const leaf = await makeLeaf(cluster.authorities, "redis", { commonName: "127.0.0.1" });
  const files = { ca: join(directory, "ca.crt"), cert: join(directory, "leaf.crt"), key: join(directory, "leaf.key") };
  writeFileSync(files.ca, cluster.authorities.redis.certPem);
  writeFileSync(files.cert, leaf.certPem);
  writeFileSync(files.key, leaf.keyPem, { mode: 0o600 });
  return files;
}

/** Round by round, in each all cells, in each all peers: what disturbs the machine disturbs all alike. One round before warms them. */
async function measure(peers: readonly Peer[], chosen: readonly Cell[], rounds: number): Promise<Map<string, Map<string, Sample[]>>> {
  const samples = new Map(chosen.map((cell) => [cellName(cell), new Map(peers.map((peer) => [peer.name, [] as Sample[]]))]));
  await fill(peers, [...new Set(chosen.map(({ bytes }) => bytes))]);
  for (let round = 0; round <= rounds; round++) {
    const connecting = new Map<string, number>();
    for (const cell of chosen) {
      process.stderr.write(`${round === 0 ? "warming" : `round ${round} of ${rounds}`}: ${cellName(cell)}\n`);
      for (const peer of peers) {
        const key = `${peer.name} ${cell.connections}`;
        connecting.set(key, connecting.get(key) ?? (await connectMicros(peer, cell.connections)));
        const sample = await runLoad(peer, cell, connecting.get(key));
        if (round > 0) samples.get(cellName(cell))!.get(peer.name)!.push(sample);
      }
    }
  }
  return samples;
}

/** Values for the reads, and warm programs. */
async function fill(peers: readonly Peer[], sizes: readonly number[]): Promise<void> {
  for (const bytes of sizes) {
    process.stderr.write(`writing values of ${bytes} bytes\n`);
    const most = Math.min(fillRequests, Math.ceil((2 * mostValueBytes) / bytes));
    for (const peer of peers) await runLoad(peer, { command: "SET", bytes, pipeline: bytes > largeBytes ? 1 : 16, connections: 50, requests: most });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
