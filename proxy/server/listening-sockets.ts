import type { Server } from "node:net";
import type { HostPort } from "../config.ts";
import { addressKey } from "../routing/topology.ts";

/** Connections that the kernel keeps ready to be accepted: a fleet of clients that comes back at once must not be refused. */
const BACKLOG = 4_096;

/** Who hands listening sockets over: the process that this one takes the place of. */
export interface Predecessor {
  /**
   * Asks for the socket that listens at an address.
   *
   * @param take called as the socket arrives, before a connection can: from then on whoever has the socket must accept
   * @returns whether the predecessor has listened there
   */
  inherit(address: HostPort, take: (socket: Server) => void): Promise<boolean>;
}

/**
 * The addresses at which a process listens. A successor inherits the sockets themselves: both listen while one begins and the
 * other ends, and connections that wait to be accepted, or are in the middle of their TCP handshake, belong to the socket. Were the
 * address only shared (SO_REUSEPORT, socket(7)), the kernel would reset those that it had given to the process that ends.
 */
export class ListeningSockets {
  readonly #predecessor: Predecessor | undefined;
  readonly #open = new Map<string, Server>();

  constructor(predecessor?: Predecessor) {
    this.#predecessor = predecessor;
  }

  /**
   * Has a server listen at an address.
   *
   * @throws Error with the address in its message, where that cannot be taken
   */
  async listen(server: Server, address: HostPort): Promise<void> {
    const key = addressKey(address);
    const listening = Promise.withResolvers<undefined>();
    const failed = (error: NodeJS.ErrnoException): void => {
      listening.reject(new Error(`cannot listen on ${key}: ${error.code === "EADDRINUSE" ? "the port is in use" : error.message}`, { cause: error }));
    };
    server.once("error", failed);
    server.once("listening", listening.resolve);
    const inherited = await this.#predecessor?.inherit(address, (socket) => {
      server.listen(socket, BACKLOG);
    });
    if (inherited !== true) server.listen({ ...address, backlog: BACKLOG });
    await listening.promise;
    server.off("error", failed);
    this.#open.set(key, server);
    server.once("close", () => {
      if (this.#open.get(key) === server) this.#open.delete(key);
    });
  }

  /** The server that listens at an address; undefined where none does. */
  at(address: HostPort): Server | undefined {
    const server = this.#open.get(addressKey(address));
    return server?.listening === true ? server : undefined;
  }
}
