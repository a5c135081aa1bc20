import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const host = "127.0.0.1";
/** Below Linux's ephemeral ports (32768..60999), the bus port included, so that no outgoing connection takes one meanwhile. */
const lowest = 11_000;
const highest = 22_000;
const attempts = 500;
/** Handed out by this process: whoever got one may not be listening yet. */
const taken = new Set<number>();

/**
 * Finds ports on 127.0.0.1 at which nothing listens.
 * @param alsoFree distance to a second port that must be free too, as a cluster node's bus port (10000)
 * @throws Error where none are to be found
 */
export async function findFreePorts(count: number, alsoFree?: number): Promise<number[]> {
  const found: number[] = [];
  for (let attempt = 0; attempt < attempts && found.length < count; attempt++) {
    const port = randomInt(lowest, highest);
    if (taken.has(port) || !(await isFree(port)) || (alsoFree !== undefined && !(await isFree(port + alsoFree)))) continue;
    taken.add(port);
    found.push(port);
  }
  if (found.length < count) throw new Error(`found only ${found.length} of ${count} free ports between ${lowest} and ${highest}`);
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => {
      resolve(false);
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
