import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import type { FormationPorts } from "./formation.ts";
import { poll } from "./poll.ts";

/** Of each node; a copy that begins anew all the time is none that gets on. */
const mostRestarts = 3;

/** Whether nodes get on with loading their data, or with copying their masters': that takes as long as it takes. */
export class CopyWatch {
  readonly #nodes: readonly NodeAddress[];
  readonly #ports: Pick<FormationPorts, "copied">;
  readonly #seen = new Map<string, number>();
  #restartsLeft: number;

  constructor(nodes: readonly NodeAddress[], ports: Pick<FormationPorts, "copied">) {
    this.#nodes = nodes;
    this.#ports = ports;
    this.#restartsLeft = mostRestarts * nodes.length;
  }

  /** Asked where the time for something has run out: whether any node has copied more than when this was asked last. */
  async getsOn(): Promise<boolean> {
    const more = await Promise.all(this.#nodes.map(async (node) => {
      const copied = await this.#ports.copied(node).catch(() => 0);
      const before = this.#seen.get(nodeName(node)) ?? 0;
      this.#seen.set(nodeName(node), copied);
      return copied > before || (copied > 0 && copied < before && this.#restartsLeft-- > 0);
    }));
    return more.includes(true);
  }

  /**
   * Looks again and again, for as long as there is something to copy.
   * @returns what was seen, or undefined after `limitMs` in which no node got on
   */
  async poll<T>(limitMs: number, look: () => Promise<T | undefined>): Promise<T | undefined> {
    for (;;) {
      const seen = await poll(limitMs, look);
      if (seen !== undefined || !(await this.getsOn())) return seen;
    }
  }
}
