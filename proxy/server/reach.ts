import type { Database } from "../cluster/database.ts";

/** How long a database may take to be reached by what takes another's place, and how often that is looked at, in milliseconds. */
const REACH_MS = 10_000;
const LOOK_MS = 20;

/**
 * Waits until each database can serve sessions; all must have been started.
 *
 * @throws Error naming the first that cannot within ten seconds, and what keeps it
 */
export async function reach(databases: readonly Database[]): Promise<void> {
  const end = performance.now() + REACH_MS;
  for (const database of databases) {
    while (!database.ready) {
      if (performance.now() > end) throw new Error(`database ${database.name} is not reached within ${REACH_MS} ms, and what runs now reaches it: ${database.obstacle}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
