import type { TLSSocket } from "node:tls";
import { clientsWith } from "./open-client.ts";
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
  const openClient = clientsWith(peer.files, password, { servername: "localhost" });
  let session: Buffer | undefined;
  const open = async (resume?: Buffer): Promise<TLSSocket> => {
    const socket = await openClient(peer.port, { resume, onSession: (ticket) => (session = ticket) });
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
