import { createServer } from "node:net";
import type { Server } from "node:net";
import type { HostPort } from "../config.ts";

/** Connections that the kernel keeps ready to be accepted: a fleet of clients that comes back at once must not be refused. */
const BACKLOG = 4_096;

/**
 * How all addresses are taken: another process of the same user that takes them so may listen there too (SO_REUSEPORT, socket(7)).
 * A successor begins to take clients before this one ends, so that none finds a closed port;
 * only who is in the closing listener's queue in that moment is reset. Elsewhere than on Linux new
 * connections would not be spread, and there is no successor.
 */
export const SHARED = { reusePort: process.platform === "linux" };

/**
 * Has a server listen at an address, which processes of the same user may share.
 *
 * @throws Error with the address in its message, where that cannot be taken
 */
export async function listenAt(server: Server, address: HostPort): Promise<void> {
  await listen(server, address, SHARED);
}

/**
 * Finds an address at which somebody listens already, who would share it unnoticed with whoever listens by `listenAt`.
 *
 * @throws as `listenAt`, for the first one
 */
export async function refuseTaken(addresses: readonly HostPort[]): Promise<void> {
  for (const address of addresses) {
    const trial = createServer();
    await listen(trial, address, { reusePort: false });
    await new Promise((resolve) => trial.close(resolve));
  }
}

async function listen(server: Server, { host, port }: HostPort, { reusePort }: { readonly reusePort: boolean }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new Error(`cannot listen on ${host}:${port}: ${error.code === "EADDRINUSE" ? "the port is in use" : error.message}`));
    };
    server.once("error", failed);
    server.listen({ host, port, backlog: BACKLOG, reusePort }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}
