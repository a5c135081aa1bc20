import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer } from "node:net";
import { programName } from "./inhabitants.ts";
import { poll } from "./poll.ts";
import { listProcesses } from "./process-record.ts";
import { SharedLooks } from "./shared-looks.ts";

/** Why a program cannot listen at an address. */
export interface PortObstacle {
  /** For a person: who is there, or what is wrong with the address. */
  readonly reason: string;
  /** Process that listens there, where it can be seen. */
  readonly pid: number | undefined;
}

interface Holder {
  readonly pid: number;
  readonly name: string;
}

/** How long a listener that cannot be seen is looked for: it may have ended between the two looks, and then the port is free. */
const unseenLimitMs = 1000;

/**
 * Tries to listen at an address; undefined if it is free. Nothing listens afterwards.
 * @param likely processes that are expected there: they are looked at first, and all others only where none of them holds the port
 */
export async function findPortObstacle(host: string, port: number, likely: readonly number[] = []): Promise<PortObstacle | undefined> {
  let obstacle: PortObstacle | undefined;
  await poll(
    unseenLimitMs,
    async () => {
      const code = await tryListening(host, port);
      const holder = code === "EADDRINUSE" ? await findListener(port, likely) : undefined;
      obstacle = code === undefined ? undefined : { reason: describe(host, port, code, holder), pid: holder?.pid };
      return code === "EADDRINUSE" && holder === undefined ? undefined : true;
    },
    unseenLimitMs / 10,
  );
  return obstacle;
}

function describe(host: string, port: number, code: string, holder: Holder | undefined): string {
  if (code === "EADDRNOTAVAIL") return `${host} is not an address of this machine; expected one of those that \`ip address\` shows`;
  if (code === "EACCES") return `port ${port} needs more rights; ports below 1024 are root's`;
  if (code !== "EADDRINUSE") return `cannot listen on ${host}:${port} (${code})`;
  const who = holder === undefined ? "another program" : `${holder.name} (pid ${holder.pid})`;
  return `${host}:${port} is already taken by ${who}; stop it, or choose another port`;
}

function tryListening(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => {
        resolve(undefined);
      });
    });
  });
}

/** The TCP ports on which each of these processes listens, in ascending order; one that listens on none is left out. */
export async function portsOf(pids: readonly number[]): Promise<ReadonlyMap<number, readonly number[]>> {
  const [sockets, holders] = await Promise.all([listeningSockets(), socketHolders(pids)]);
  const ports = new Map<number, number[]>();
  for (const [port, names] of [...sockets].sort(([a], [b]) => a - b)) {
    for (const pid of new Set(names.flatMap((name) => holders.get(name) ?? []))) ports.set(pid, [...(ports.get(pid) ?? []), port]);
  }
  return ports;
}

/** The process that listens on a TCP port, as far as this user may see (proc(5): /proc/net/tcp, /proc/<pid>/fd). */
async function findListener(port: number, likely: readonly number[]): Promise<Holder | undefined> {
  const sockets = (await listeningSockets()).get(port) ?? [];
  if (sockets.length === 0) return undefined;
  const holderIn = (holders: ReadonlyMap<string, number>): number | undefined => sockets.map((socket) => holders.get(socket)).find((holder) => holder !== undefined);
  const pid = (likely.length === 0 ? undefined : holderIn(await socketHolders(likely))) ?? holderIn(await socketHolders());
  return pid === undefined ? undefined : { pid, name: await programName(pid) };
}

const holderLooks = new SharedLooks<ReadonlyMap<string, number>>();
const socketLooks = new SharedLooks<ReadonlyMap<number, readonly string[]>>();

/** Which of these processes, or of all, holds which socket. */
function socketHolders(pids?: readonly number[]): Promise<ReadonlyMap<string, number>> {
  return holderLooks.share(String(pids), async () => lookForSockets(pids ?? (await listProcesses())));
}

/** The sockets that listen, by port. */
function listeningSockets(): Promise<ReadonlyMap<number, readonly string[]>> {
  return socketLooks.share("all", async () => {
    const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map((file) => readFile(file, "utf8").catch(() => "")));
    const entries = tables.flatMap((table) => [...table.matchAll(listeningEntry)].map(([, port, inode]) => [Number.parseInt(port!, 16), `socket:[${inode!}]`] as const));
    const sockets = new Map<number, string[]>();
    for (const [port, socket] of entries) sockets.set(port, [...(sockets.get(port) ?? []), socket]);
    return sockets;
  });
}

/** A line of a table of sockets: number, local address, remote address, state 0A (listening), queues, timer, retransmits, uid, timeout, inode. */
const listeningEntry = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A \S+ \S+ \S+ +\d+ +\d+ (\d+) /gm;

async function lookForSockets(pids: readonly number[]): Promise<ReadonlyMap<string, number>> {
  const holders = new Map<string, number>();
  for (const pid of pids) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const targets = await Promise.all(descriptors.map((descriptor) => readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "")));
    for (const target of targets.filter((name) => name.startsWith("socket:"))) holders.set(target, holders.get(target) ?? pid);
  }
  return holders;
}
