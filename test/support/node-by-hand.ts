import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { Child } from "./child.ts";
import type { Environment } from "./environment.ts";
import { isFree } from "./free-ports.ts";
import { waitFor } from "./wait-for.ts";

const limitMs = 30_000;
const busPortOffset = 10_000;
const quotedCharacters = 2000;

/**
 * Starts a redis-server in an environment as somebody might by hand, and waits until it answers.
 * @param port at which it is to listen
 * @param args of redis-server, the configuration file first
 * @param answers rejects as long as it does not
 * @throws Error with what it has written, where it does not answer within 30 s
 */
export async function startByHand(environment: Environment, port: number, args: readonly string[], answers: () => Promise<unknown>): Promise<Child> {
  // The kernel frees the ports of a killed process a moment after the process is seen to have ended.
  await waitFor(`the ports ${port} and ${port + busPortOffset} are free`, limitMs, async () => (await isFree(port)) && isFree(port + busPortOffset));
  const child = new Child({ command: "/usr/bin/redis-server", args, directory: environment.directory, logFile: path.join(environment.project, `by-hand-${port}.log`) });
  try {
    await waitFor("it answers", limitMs, async () => {
      if (child.end !== undefined) throw new Error("it has ended");
      await answers();
      return true;
    });
  } catch (cause) {
    const own = path.join(environment.directory, "nodes", String(port), "redis.log");
    const log = existsSync(own) ? readFileSync(own, "utf8").slice(-quotedCharacters) : "";
    const state = child.end === undefined ? "runs" : `has ended with ${child.end}`;
    await child.stop();
    throw new Error(`the redis-server started by hand at ${port} ${state}, and does not answer; it wrote:\n${child.log}${log}`, { cause });
  }
  return child;
}
