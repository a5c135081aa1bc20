import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const host = "127.0.0.1";
/** Below Linux's ephemeral ports (32768..60999), the bus port included, so that no outgoing connection takes one meanwhile. */
const lowest = 11_000;
const highest = 22_000;
const attempts = 500;

/**
 * Finds ports on 127.0.0.1 at which nothing listens. They are this process's until it ends: other test processes on the
 * machine are not given them, though whoever got one here may not be listening yet.
 * @param alsoFree distance to a second port that must be free too, as a cluster node's bus port (10000)
 * @throws Error where none are to be found
 */
export async function findFreePorts(count: number, alsoFree?: number): Promise<number[]> {
  const found: number[] = [];
  for (let attempt = 0; attempt < attempts && found.length < count; attempt++) {
    const port = randomInt(lowest, highest);
    const wanted = alsoFree === undefined ? [port] : [port, port + alsoFree];
    if (await areFree(wanted)) found.push(port);
  }
  if (found.length < count) throw new Error(`found only ${found.length} of ${count} free ports between ${lowest} and ${highest}`);
  return found;
}

async function areFree(ports: readonly number[]): Promise<boolean> {
  for (const port of ports) {
    if (!(await claim(port)) || !(await isFree(port))) return false;
  }
  return true;
}

/**
 * Takes the port among test processes: with a socket in Linux's abstract namespace (unix(7)), which is gone with its process
 * however that ends.
 */
function claim(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => {
      resolve(false);
    });
    server.listen({ path: `\0redis-access-test-port-${port}` }, () => {
      server.unref();
      resolve(true);
    });
  });
}

/** Whether a program could listen at this port of 127.0.0.1 now. */
export function isFree(port: number): Promise<boolean> {
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
