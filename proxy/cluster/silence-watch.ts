import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Address } from "../routing/topology.ts";
import { addressKey } from "../routing/topology.ts";
import { askValue } from "./question.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";
import type { UserConnections } from "./user-connections.ts";

/** A connection that owes replies is silent once no byte has come for so long. */
const SILENCE_MS = 1_000;
/** How long a master may take to answer PING. */
const ANSWER_MS = 500;
/** Tries to reach the machine of one that does not answer, and how long each takes: two SYNs are sent in it (RFC 6298, section 2.1). */
const TRIES = 3;
const TRY_MS = 1_500;
/** A machine that was reached is tried again at the earliest after so long. */
const REACHED_MS = 5_000;

/** What the watch has of its database. */
export interface SilenceHost {
  readonly dial: (address: Address) => Socket;
  /** All connections that are open. */
  readonly connections: () => Iterable<UpstreamConnection>;
  /** The masters of the topology, by their `addressKey`. */
  readonly masters: () => ReadonlySet<string>;
  /** Whose connections the nodes are asked by; undefined while there is nobody. */
  readonly asker: () => UserConnections | undefined;
}

/** A master on which something waits in silence. */
interface Silence {
  /** Whether it has answered PING; undefined while that is not known. */
  answers: boolean | undefined;
  asking: boolean;
  /** When its machine was reached, in milliseconds of the monotonic clock. */
  reachedAt: number;
}

/**
 * Finds connections whose replies will never come, and gives them up. Silence at a node that is no master any more is enough:
 * another serves its slots, and counts the subscribers of all channels. At a master it says nothing: a script or a command that
 * waits may take as long as it likes, and is never sent twice. So the master is asked something else; does it not answer that
 * either, its machine is: where no packet comes back, the kernel would say so after a quarter of an hour only (RFC 1122, section
 * 4.2.3.5). A process that is busy or stopped is no reason: its kernel takes connections all the same.
 */
export class SilenceWatch {
  readonly #host: SilenceHost;
  readonly #nodes = new Map<string, Silence>();

  constructor(host: SilenceHost) {
    this.#host = host;
  }

  /** Looks at all connections. To be called a few times a second. @returns whether there is a node that may not answer */
  look(): boolean {
    const silent = Map.groupBy([...this.#host.connections()].filter(isSilent), ({ address }) => addressKey(address));
    for (const node of this.#nodes.keys()) if (!silent.has(node)) this.#nodes.delete(node);
    const masters = this.#host.masters();
    for (const [node, connections] of silent) {
      if (!masters.has(node)) {
        for (const connection of connections) connection.close("the node does not answer and is no master any more");
        continue;
      }
      let state = this.#nodes.get(node);
      if (state === undefined) this.#nodes.set(node, (state = { answers: undefined, asking: false, reachedAt: -Infinity }));
      if (!state.asking) void this.#inquire(connections[0]!.address, state);
    }
    return [...this.#nodes.values()].some(({ answers }) => answers !== true);
  }

  async #inquire(address: Address, state: Silence): Promise<void> {
    state.asking = true;
    state.answers = await this.#answers(address);
    if (!state.answers && performance.now() - state.reachedAt >= REACHED_MS) {
      if (await this.#reached(address)) state.reachedAt = performance.now();
      else this.#giveUp(address);
    }
    state.asking = false;
  }

  async #answers(address: Address): Promise<boolean> {
    const connection = this.#host.asker()?.to(address);
    return connection !== undefined && askValue(connection, ["PING"], ANSWER_MS).then(() => true, () => false);
  }

  async #reached(address: Address): Promise<boolean> {
    for (let i = 0; i < TRIES; i++) {
      const [reached] = await Promise.all([takesConnection(this.#host.dial(address)), delay(i + 1 < TRIES ? TRY_MS : 0)]);
      if (reached) return true;
    }
    return false;
  }

  /** Those connections that have had a byte meanwhile stay, and so do those that are not made yet: they have a limit of their own. */
  #giveUp(address: Address): void {
    const node = addressKey(address);
    for (const connection of [...this.#host.connections()]) {
      if (addressKey(connection.address) === node && connection.ready && isSilent(connection)) connection.lose("no packet comes back from the node's machine");
    }
  }
}

function isSilent(connection: UpstreamConnection): boolean {
  return !connection.idle && performance.now() - connection.lastProgressAt > SILENCE_MS;
}

/** Whether the kernel at the other side answers within `TRY_MS`, with a connection or with its refusal. */
async function takesConnection(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (reached: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reached);
    };
    const timer = setTimeout(settle, TRY_MS, false);
    socket.once("connect", () => {
      settle(true);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      settle(error.code === "ECONNREFUSED" || error.code === "ECONNRESET");
    });
  });
}
