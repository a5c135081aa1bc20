import { setTimeout as pause } from "node:timers/promises";

/** What was awaited did not come in time. */
export class WaitTimeoutError extends Error {
  readonly code = "WAIT_TIMEOUT";

  constructor(what: string, limitMs: number, last: unknown) {
    const detail = last === undefined ? "" : `; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`;
    super(`${what} did not happen within ${limitMs} ms${detail}`, last instanceof Error ? { cause: last } : {});
    this.name = "WaitTimeoutError";
  }
}

/**
 * Asks again and again until the answer is neither undefined nor false; an attempt that throws counts as "not yet".
 * @param what a clause for the error: "the replica is in sync"
 * @throws {WaitTimeoutError} after `limitMs`
 */
export async function waitFor<T>(what: string, limitMs: number, attempt: () => T | Promise<T>, intervalMs = 25): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await attempt();
      if (answer !== undefined && answer !== false) return answer as Exclude<T, false | undefined>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) throw new WaitTimeoutError(what, limitMs, last);
    await pause(intervalMs);
  }
}

/**
 * Bounds a promise in time.
 * @throws {WaitTimeoutError} if it has not settled after `limitMs`
 */
export async function within<T>(what: string, limitMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new WaitTimeoutError(what, limitMs, undefined));
    }, limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
