import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer } from "node:net";
import { basename } from "node:path";
import { poll } from "./poll.ts";
import { executableOf } from "./process-record.ts";

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
 * @param likely process that is expected there: it is looked at first, and all others only where it does not hold the port
 */
export async function findPortObstacle(host: string, port: number, likely?: number): Promise<PortObstacle | undefined> {
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

/** The process that listens on a TCP port, as far as this user may see (proc(5): /proc/net/tcp, /proc/<pid>/fd). */
async function findListener(port: number, likely: number | undefined): Promise<Holder | undefined> {
  const inodes = (await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map((file) => listeningInodes(file, port)))).flat();
  if (inodes.length === 0) return undefined;
  const holderIn = (holders: ReadonlyMap<string, number>): number | undefined => inodes.map((inode) => holders.get(inode)).find((holder) => holder !== undefined);
  const pid = (likely === undefined ? undefined : holderIn(await lookForSockets([String(likely)]))) ?? holderIn(await socketHolders());
  return pid === undefined ? undefined : { pid, name: await programName(pid) };
}

let looking: Promise<ReadonlyMap<string, number>> | undefined;

/**
 * Which process holds which socket. Whoever asks while a look at all processes is going on shares it: an environment asks
 * for a dozen ports at once. A holder that such a look has missed is found by the next one.
 */
function socketHolders(): Promise<ReadonlyMap<string, number>> {
  looking ??= readdir("/proc")
    .then((names) => lookForSockets(names.filter((name) => /^\d+$/.test(name))))
    .finally(() => (looking = undefined));
  return looking;
}

async function lookForSockets(pids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const holders = new Map<string, number>();
  for (const pid of pids) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const targets = await Promise.all(descriptors.map((descriptor) => readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "")));
    for (const target of targets.filter((name) => name.startsWith("socket:"))) holders.set(target, holders.get(target) ?? Number(pid));
  }
  return holders;
}

/** By the program's file: the name that the kernel keeps is that of a thread, such as Node's `MainThread`. */
async function programName(pid: number): Promise<string> {
  const executable = await executableOf(pid);
  return executable === undefined ? (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "a program")).trim() : basename(executable);
}

async function listeningInodes(table: string, port: number): Promise<string[]> {
  const listening = "0A";
  const text = await readFile(table, "utf8").catch(() => "");
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === listening && Number.parseInt(fields[1]?.split(":")[1] ?? "", 16) === port)
    .map((fields) => `socket:[${fields[9] ?? ""}]`);
}
