import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { RequestParser } from "../../proxy/resp/request-parser.ts";
import { argument } from "../../proxy/routing/keys.ts";
import type { Address } from "../../proxy/routing/topology.ts";

/** What a node answers to a command: bytes, or nothing at all. The connection is at hand for what is no answer: hanging up, garbage. */
export type Script = (command: readonly string[], connection: Socket) => string | Buffer | undefined;

const limits = { maxBulkBytes: 536_870_912, maxArguments: 1_048_576, maxInlineBytes: 65_536 };

/** A node of a cluster that does what a test says, over plain TCP: for faults that a real server cannot be made to have. */
export class MockNode {
  /** Every command that came, over all connections, its arguments joined by blanks. */
  readonly received: string[] = [];
  readonly connections = new Set<Socket>();
  /** Connections that were ever made to it. */
  accepted = 0;
  script: Script;
  address: Address = { host: "127.0.0.1", port: 0 };
  readonly #server: Server;

  private constructor(script: Script) {
    this.script = script;
    this.#server = createServer((socket) => {
      this.#serve(socket);
    });
  }

  static async start(script: Script): Promise<MockNode> {
    const node = new MockNode(script);
    await new Promise<void>((resolve) => node.#server.listen(0, "127.0.0.1", resolve));
    node.address = { host: "127.0.0.1", port: (node.#server.address() as AddressInfo).port };
    return node;
  }

  /** The commands that came and begin with `word`. */
  got(word: string): string[] {
    return this.received.filter((command) => command.split(" ")[0] === word);
  }

  /** Cuts all connections. */
  hangUp(): void {
    for (const connection of this.connections) connection.destroy();
  }

  /** Takes no further connections and cuts those that are. Its port then refuses. */
  stop(): void {
    this.#server.close();
    this.hangUp();
  }

  /** Takes connections at its port again. */
  restart(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.address.port, this.address.host, resolve));
  }

  #serve(socket: Socket): void {
    this.accepted++;
    this.connections.add(socket);
    socket.setNoDelay(true);
    const parser = new RequestParser(limits);
    socket.on("data", (chunk: Buffer) => {
      parser.push(chunk);
      while (parser.next()) {
        const command = Array.from({ length: parser.argc }, (_, i) => argument(parser, i).toString("latin1"));
        this.received.push(command.join(" "));
        const answer = this.script(command, socket);
        if (answer !== undefined) socket.write(answer);
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.connections.delete(socket));
  }
}
