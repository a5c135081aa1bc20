import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import type { Call } from "./slot-moves.ts";

const parameter = "cluster-migration-barrier";
/** More replicas than a master ever has. */
const barrier = "1000";

/**
 * Keeps replicas where they are told to be while they change places. A master without replicas gets one from a master with two
 * after five seconds, by Redis itself (redis src/cluster.c, clusterHandleSlaveMigration): the wrong one, or one too early, where a
 * copy takes longer than that. Cut off, it leaves a parameter that the next drift check names and the next update puts right.
 */
export class MigrationHold {
  readonly #call: Call;
  readonly #kept = new Map<string, { readonly node: NodeAddress; readonly value: string }>();

  constructor(call: Call) {
    this.#call = call;
  }

  /** Holds one replica, until `release`. */
  async keep(node: NodeAddress): Promise<void> {
    if (this.#kept.has(nodeName(node))) return;
    const reply = await this.#call(node, ["CONFIG", "GET", parameter]);
    const value = Array.isArray(reply) ? String(reply[1]) : "";
    if (value === "") throw new Error(`${nodeName(node)} does not tell its ${parameter}`);
    await this.#call(node, ["CONFIG", "SET", parameter, barrier]);
    this.#kept.set(nodeName(node), { node, value });
  }

  /** Lets go of all that were held. One that does not answer is left to the next drift check. */
  async release(): Promise<void> {
    await Promise.allSettled([...this.#kept.values()].map(({ node, value }) => this.#call(node, ["CONFIG", "SET", parameter, value])));
    this.#kept.clear();
  }
}
