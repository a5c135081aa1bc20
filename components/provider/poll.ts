import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds between two looks. */
const pollIntervalMs = 50;

/**
 * Looks again and again until there is something to see, or the time is up.
 * @returns what was seen, or undefined after `limitMs`
 */
export async function poll<T>(limitMs: number, look: () => Promise<T | undefined>, intervalMs = pollIntervalMs): Promise<T | undefined> {
  const end = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() >= end) return undefined;
    await delay(intervalMs);
  }
}
