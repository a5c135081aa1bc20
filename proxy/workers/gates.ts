import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { HostPort } from "../config.ts";
import type { ListeningSockets } from "../server/listening-sockets.ts";
import { chooseWorker } from "./choose-worker.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** Connections that wait for a worker at most, where there is none. */
const MOST_WAITING = 4_096;
/** How long a connection waits for a worker, in milliseconds. */
const WAIT_MS = 10_000;

/** An address at which connections are accepted. */
export interface Gate {
  readonly address: HostPort;
  close(): void;
}

interface WaitingClient {
  readonly socket: Socket;
  readonly address: HostPort;
  readonly since: number;
}

/** All addresses of the proxy: accepts connections, reads nothing of them, and hands each to a worker. */
export class Gates {
  readonly #sockets: ListeningSockets;
  readonly #workers: () => readonly WorkerProcess[];
  #gates: Gate[] = [];
  /** Connections that came while no worker was there. */
  #waiting: WaitingClient[] = [];

  /** @param workers that take clients now */
  constructor(sockets: ListeningSockets, workers: () => readonly WorkerProcess[]) {
    this.#sockets = sockets;
    this.#workers = workers;
  }

  /**
   * Begins to accept connections.
   *
   * @throws Error with the address in its message, where that cannot be taken
   */
  async open(address: HostPort): Promise<Gate> {
    const server: Server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      this.#hand({ socket, address, since: performance.now() });
    });
    await this.#sockets.listen(server, address);
    const gate = { address, close: () => void server.close() };
    this.#gates.push(gate);
    return gate;
  }

  /**
   * Opens those of the addresses that are not open yet, all of them or none.
   *
   * @returns those that were opened
   * @throws as `open`
   */
  async openMissing(addresses: readonly HostPort[]): Promise<readonly Gate[]> {
    const opened: Gate[] = [];
    try {
      for (const address of addresses) {
        if (!this.#gates.some((gate) => isDeepStrictEqual(gate.address, address))) opened.push(await this.open(address));
      }
    } catch (error) {
      this.discard(opened);
      throw error;
    }
    return opened;
  }

  /** Closes gates that were opened for nothing. */
  discard(gates: readonly Gate[]): void {
    for (const gate of gates) gate.close();
    this.#gates = this.#gates.filter((gate) => !gates.includes(gate));
  }

  /** Closes all gates but those at these addresses. Connections that were accepted already are handed over all the same. */
  keep(addresses: readonly HostPort[]): void {
    this.discard(this.#gates.filter(({ address }) => !addresses.some((kept) => isDeepStrictEqual(kept, address))));
  }

  /** Hands over who waits, now that there is a worker. */
  handOver(): void {
    const now = performance.now();
    for (const client of this.#waiting.splice(0)) {
      if (now - client.since > WAIT_MS) client.socket.destroy();
      else this.#hand(client);
    }
  }

  #hand(client: WaitingClient): void {
    const worker = chooseWorker(this.#workers(), performance.now());
    if (worker !== undefined) worker.hand(client.socket, client.address);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(client);
    else client.socket.destroy();
  }
}
