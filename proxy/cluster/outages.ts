/** A node that stays away is told of again after so long, and then each time after twice as long, up to the longest. */
const FIRST_REMINDER_MS = 60_000;
const LONGEST_REMINDER_MS = 3_600_000;

/** How long a node has taken no connection, for the log. */
export interface OutageAge {
  /** Connections that were tried since. */
  readonly failures: number;
  readonly downSeconds: number;
}

interface Outage {
  readonly since: number;
  failures: number;
  /** What was told of it already. */
  readonly reasons: Set<string>;
  reminderMs: number;
  remindAt: number;
}

/**
 * The nodes that take no connection. Each is asked again and again, by the survey and for every user; told is the first failure,
 * each other reason once, a reminder every now and then, and that the node is there again.
 */
export class Outages {
  readonly #outages = new Map<string, Outage>();

  /**
   * A connection could not be made.
   * @param node as `addressKey` writes it
   * @param now in milliseconds of the monotonic clock
   * @returns what to tell beside the reason; undefined where there is nothing new
   */
  failed(node: string, reason: string, now: number): Partial<OutageAge> | undefined {
    const outage = this.#outages.get(node);
    if (outage === undefined) {
      this.#outages.set(node, { since: now, failures: 1, reasons: new Set([reason]), reminderMs: FIRST_REMINDER_MS, remindAt: now + FIRST_REMINDER_MS });
      return {};
    }
    outage.failures++;
    if (outage.reasons.has(reason) && now < outage.remindAt) return undefined;
    outage.reasons.add(reason);
    if (now >= outage.remindAt) {
      outage.reminderMs = Math.min(outage.reminderMs * 2, LONGEST_REMINDER_MS);
      outage.remindAt = now + outage.reminderMs;
    }
    return ageOf(outage, now);
  }

  /** A connection was made. @returns how long that took; undefined where the last one was made, too */
  reached(node: string, now: number): OutageAge | undefined {
    const outage = this.#outages.get(node);
    if (outage === undefined) return undefined;
    this.#outages.delete(node);
    return ageOf(outage, now);
  }
}

function ageOf({ since, failures }: Outage, now: number): OutageAge {
  return { failures, downSeconds: Math.round((now - since) / 1_000) };
}
