import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import { openNode } from "./node-client.ts";
import type { NodeAccess, OpenNode } from "./node-client.ts";

/** Connections to nodes that stay open from one command to the next: thousands of slots are moved by tens of thousands of commands. */
export class NodeConnections {
  readonly #accessTo: (node: NodeAddress) => NodeAccess;
  readonly #commandLimitMs: number;
  readonly #open = new Map<string, Promise<OpenNode>>();

  /** @param commandLimitMs how long any one command may take */
  constructor(accessTo: (node: NodeAddress) => NodeAccess, commandLimitMs: number) {
    this.#accessTo = accessTo;
    this.#commandLimitMs = commandLimitMs;
  }

  /**
   * Sends one command, over a new connection where there is none or it is lost.
   * @throws {NodeUnreachableError} no connection. Errors of the command come as Redis sent them.
   */
  async call(node: NodeAddress, [command, ...args]: readonly [string, ...string[]]): Promise<unknown> {
    const connection = await this.#connectionTo(node);
    return connection.call(command, ...args);
  }

  /** Closes all that is open. */
  async close(): Promise<void> {
    for (const opened of await Promise.allSettled(this.#open.values())) if (opened.status === "fulfilled") opened.value.close();
    this.#open.clear();
  }

  async #connectionTo(node: NodeAddress): Promise<OpenNode> {
    const name = nodeName(node);
    const known = this.#open.get(name);
    const connection = await known?.catch(() => undefined);
    if (connection?.isOpen() === true) return connection;
    // Unless somebody else has opened another one meanwhile.
    if (this.#open.get(name) === known) this.#open.set(name, openNode(this.#accessTo(node), this.#commandLimitMs));
    return this.#open.get(name)!;
  }
}
