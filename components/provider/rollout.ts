import { setTimeout as delay } from "node:timers/promises";

/** What is known of a program when it might be its turn. */
export type Standing =
  /** It does not run: the whole has more of it back the sooner it is started. */
  | "stopped"
  /** It runs, and others can do without it: a replica. */
  | "spare"
  /** It runs, and another one must take over from it first: a master. */
  | "leading";

/** A program that is to be started anew, one of several of which never two are down at once. */
export interface RolloutMember {
  /** For messages, and for the order among equals. */
  readonly name: string;
  /** Asked anew whenever a turn begins: roles change with every turn. */
  standing(): Promise<Standing>;
}

/** A program was left as it is, because another one before it has failed to come back. */
export class RolloutStoppedError extends Error {
  readonly code = "ROLLOUT_STOPPED";

  constructor(name: string, failed: string) {
    super(`${name} was not restarted and runs on as before, because ${failed} did not come back as it should; the next \`pulumi up\` goes on from there`);
    this.name = "RolloutStoppedError";
  }
}

interface Waiting {
  readonly member: RolloutMember;
  readonly begin: (standing: Standing) => void;
}

/**
 * The order in which programs of one kind are started anew: one at a time, those first that do not run, then those that others
 * can do without, the leading ones last. After a failure no running one is touched any more.
 *
 * Who leads is known only while they run, and changes with every restart; so the order cannot stand in the program's graph of
 * resources, in which every node is independent. A chain in the declared order would restart masters first: each would hand
 * over to a replica, which is then restarted as a master and hands over again. It lives as long as this process, that is for
 * one run of the engine. Where the engine runs one step at a time (`--parallel 1`), the declared order is all that is left.
 */
export class Rollout {
  readonly #gatherMs: number;
  readonly #size: number;
  #waiting: Waiting[] = [];
  #working = false;
  #lastArrival = 0;
  #failed: string | undefined;

  /**
   * @param size members that there are in all; once so many wait there is nobody to wait for
   * @param gatherMs the engine asks for all restarts nearly at once; the first one waits so long after each that comes
   */
  constructor(size: number, gatherMs = 1000) {
    this.#size = size;
    this.#gatherMs = gatherMs;
  }

  /**
   * Waits for the member's turn, then does its work.
   * @throws {RolloutStoppedError} another one has failed, and this one runs; or what the work throws
   */
  async turn<T>(member: RolloutMember, work: () => Promise<T>): Promise<T> {
    const standing = await new Promise<Standing>((begin) => {
      this.#waiting.push({ member, begin });
      this.#lastArrival = performance.now();
      if (!this.#working) {
        this.#working = true;
        void this.#gather().then(() => this.#next());
      }
    });
    try {
      if (this.#failed !== undefined && standing !== "stopped") throw new RolloutStoppedError(member.name, this.#failed);
      return await work();
    } catch (error) {
      this.#failed ??= member.name;
      throw error;
    } finally {
      void this.#next();
    }
  }

  async #gather(): Promise<void> {
    for (;;) {
      const restMs = this.#lastArrival + this.#gatherMs - performance.now();
      if (this.#waiting.length >= this.#size || restMs <= 0) return;
      await delay(Math.min(restMs, 50));
    }
  }

  async #next(): Promise<void> {
    const standings = await Promise.all(this.#waiting.map(async (waiting) => ({ waiting, standing: await waiting.member.standing() })));
    const order: readonly Standing[] = ["stopped", "spare", "leading"];
    const [next] = standings.sort((a, b) => order.indexOf(a.standing) - order.indexOf(b.standing) || (a.waiting.member.name < b.waiting.member.name ? -1 : 1));
    if (next === undefined) {
      // Whoever came while nobody was there to look has begun a new round, or begins one now.
      this.#working = this.#waiting.length > 0;
      if (this.#working) void this.#next();
      return;
    }
    this.#waiting = this.#waiting.filter((waiting) => waiting !== next.waiting);
    next.waiting.begin(next.standing);
  }
}

const rollouts = new Map<string, Rollout>();

/** The rollout of these members, the same for all who ask in this process. */
export function rolloutOf(members: readonly string[]): Rollout {
  const key = [...members].sort().join(" ");
  const rollout = rollouts.get(key) ?? new Rollout(members.length);
  rollouts.set(key, rollout);
  return rollout;
}
