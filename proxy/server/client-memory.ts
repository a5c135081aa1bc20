/** Milliseconds between two looks at what clients hold: what comes in meanwhile goes beyond the bound. */
export const LOOK_MS = 100;

/** A client that has to go, and the bytes that it holds. */
export interface Evicted<T> {
  readonly client: T;
  readonly bytes: number;
}

/**
 * Whom to drop so that all others together hold no more than `most` bytes: those that hold most, the largest first, as Redis
 * does where `maxmemory-clients` is set (Redis documentation, "Redis clients handling", client eviction).
 *
 * @param most bytes; 0 for no bound
 */
export function toEvict<T>(clients: Iterable<T>, bytesOf: (client: T) => number, most: number): Evicted<T>[] {
  if (most === 0) return [];
  const all = [...clients].map((client) => ({ client, bytes: bytesOf(client) }));
  let total = all.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total <= most) return [];
  all.sort((a, b) => b.bytes - a.bytes);
  let count = 0;
  while (total > most) total -= all[count++]!.bytes;
  return all.slice(0, count);
}
