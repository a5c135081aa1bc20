import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { loadUser } from "./peer.ts";
import type { PemFiles } from "./peer.ts";
import { cpuMicros, residentKib } from "./process-cost.ts";

/** What clients cost that do nothing. */
export interface ConnectionCost {
  readonly connections: number;
  /** Resident memory of the proxy for each, logged in. */
  readonly kibEach: number;
  /** Processor time of the proxy for a TLS handshake with both certificates, and the login behind it. */
  readonly handshakeMicros: number;
  /** The same for one that resumes a TLS session (RFC 8446, section 2.2). */
  readonly resumedMicros: number;
}

const batch = 50;
const resumptions = 500;
const settleMs = 3_000;

/** Opens so many connections to a peer, lets them lie, and measures what its process has for them. */
export async function measureConnections(
  peer: { readonly pid: number; readonly port: number; readonly files: PemFiles },
  password: string,
  count: number,
): Promise<ConnectionCost> {
  const { files } = peer;
  const tls = { host: "127.0.0.1", port: peer.port, ca: readFileSync(files.ca), cert: readFileSync(files.cert), key: readFileSync(files.key), servername: "localhost" };
  let session: Buffer | undefined;
  const open = async (resume?: Buffer): Promise<TLSSocket> => {
    const socket = connect({ ...tls, ...(resume !== undefined && { session: resume }) });
    socket.on("session", (ticket: Buffer) => (session = ticket));
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("data", () => {
        resolve();
      });
      socket.write(encodeCommand(["AUTH", loadUser, password]));
    });
    if (resume !== undefined && !socket.isSessionReused()) throw new Error("the proxy did not take the TLS session up again");
    return socket;
  };
  const openMany = async (many: number, resume?: Buffer): Promise<TLSSocket[]> => {
    const opened: TLSSocket[] = [];
    while (opened.length < many) opened.push(...(await Promise.all(Array.from({ length: Math.min(batch, many - opened.length) }, () => open(resume)))));
    return opened;
  };
  const close = (sockets: TLSSocket[]): void => {
    for (const socket of sockets) socket.destroy();
  };
  // The first ones make what all others share.
  close(await openMany(batch));
  await pause();
  const [memoryBefore, cpuBefore] = [residentKib(peer.pid), cpuMicros(peer.pid)];
  const idle = await openMany(count);
  const handshakeMicros = (cpuMicros(peer.pid) - cpuBefore) / count;
  await pause();
  const kibEach = (residentKib(peer.pid) - memoryBefore) / count;
  const cpuResumed = cpuMicros(peer.pid);
  const resumed = await openMany(resumptions, session);
  const resumedMicros = (cpuMicros(peer.pid) - cpuResumed) / resumptions;
  close([...idle, ...resumed]);
  await pause();
  return { connections: count, kibEach, handshakeMicros, resumedMicros };
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, settleMs));
}
