import { setTimeout as pause } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { TestCluster, TestNode } from "../../support/redis-cluster.ts";

/** A time in which no node took a write to a key's slot. */
export interface Outage {
  readonly key: string;
  readonly from: number;
  readonly to: number;
}

const intervalMs = 25;

/**
 * Watches, directly and beside the proxy, whether Redis itself has a master for each of some keys: it writes them to every
 * node and sees whether one takes it.
 */
export class Availability {
  readonly outages: Outage[] = [];
  readonly #clients = new Map<TestNode, Redis>();
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(cluster: TestCluster, keys: readonly string[]) {
    for (const node of cluster.nodes) {
      this.#clients.set(node, cluster.direct(node, "alice", { commandTimeout: 400, maxRetriesPerRequest: 0, enableOfflineQueue: false, retryStrategy: () => 50, enableReadyCheck: false }));
    }
    this.#running = Promise.all(keys.map((key) => this.#watch(key)));
  }

  /** Whether Redis had no master for some key at any time from `from` to `to`, give or take `slackMs`. */
  down(from: number, to: number, slackMs: number): boolean {
    return this.outages.some((outage) => outage.from - slackMs <= to && from <= outage.to + slackMs);
  }

  /** The longest outage so far, in milliseconds. */
  get longestMs(): number {
    return this.outages.reduce((most, { from, to }) => Math.max(most, to - from), 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    for (const client of this.#clients.values()) client.disconnect();
  }

  async #watch(key: string): Promise<void> {
    let lastTaken = performance.now();
    let down = false;
    while (!this.#stopped) {
      const at = performance.now();
      // The first that takes it is enough: a node that hangs must not be waited for.
      const taken = await Promise.any([...this.#clients.values()].map((client) => client.set(key, "1"))).then(() => true, () => false);
      if (taken) {
        if (down) this.outages.push({ key, from: lastTaken, to: performance.now() });
        down = false;
        lastTaken = at;
      } else {
        down = true;
      }
      await pause(intervalMs);
    }
  }
}
