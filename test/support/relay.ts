import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Passes TCP connections on to a port of 127.0.0.1, so that a test can break them as a network does: by a reset. */
export class Relay {
  readonly port: number;
  readonly #close: () => void;
  readonly #onward: Set<Socket>;

  private constructor(port: number, onward: Set<Socket>, close: () => void) {
    this.port = port;
    this.#onward = onward;
    this.#close = close;
  }

  static async start(target: number): Promise<Relay> {
    const onward = new Set<Socket>();
    const server = createServer((client) => {
      const socket = connect(target, "127.0.0.1");
      onward.add(socket);
      client.pipe(socket).pipe(client);
      client.on("error", () => socket.destroy());
      socket.on("error", () => client.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Relay((server.address() as AddressInfo).port, onward, () => server.close());
  }

  /** Port from which the first of its own connections comes. */
  get onwardPort(): number {
    const [first] = this.#onward;
    return first!.localPort!;
  }

  /** Resets the connections that it made, and takes no more. */
  reset(): void {
    for (const socket of this.#onward) socket.resetAndDestroy();
    this.#close();
  }
}
