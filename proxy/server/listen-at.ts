import type { Server } from "node:net";
import type { HostPort } from "../config.ts";

/** Connections that the kernel keeps ready to be accepted: a fleet of clients that comes back at once must not be refused. */
const BACKLOG = 4_096;

/**
 * Has a server listen at an address.
 *
 * @param accept options of the server's own, beside the address
 * @throws Error with the address in its message, where that cannot be taken
 */
export async function listenAt(server: Server, { host, port }: HostPort): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new Error(`cannot listen on ${host}:${port}: ${error.code === "EADDRINUSE" ? "the port is in use" : error.message}`));
    };
    server.once("error", failed);
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}
