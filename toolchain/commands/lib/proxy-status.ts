import { readFileSync } from "node:fs";
import path from "node:path";

import { parse } from "yaml";

/** How the access proxy is. */
export interface ProxyStatus {
  /** Where it listens for clients. */
  readonly uri: string | undefined;
  /** `ready`, or what is wrong in a few words. */
  readonly health: string;
}

const TIMEOUT_MS = 3000;

/** Asks the proxy's admin endpoint, which its configuration file names, whether it is ready. */
export async function proxyStatus(directory: string, uri: string | undefined): Promise<ProxyStatus> {
  return { uri, health: await proxyHealth(path.join(directory, "proxy/proxy.yaml")) };
}

async function proxyHealth(configFile: string): Promise<string> {
  let listen: unknown;
  try {
    listen = (parse(readFileSync(configFile, "utf8")) as { admin?: { listen?: unknown } } | null)?.admin?.listen;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "its files are missing" : `its configuration cannot be read: ${configFile}`;
  }
  if (typeof listen !== "string") return "unknown: its configuration has no admin address";
  try {
    const response = await fetch(`http://${listen}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? "ready" : `not ready: ${(await response.text()).trim().split("\n")[0] ?? ""}`;
  } catch (error) {
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    return cause?.code === "ECONNREFUSED" ? "not running" : `does not answer: ${(error as Error).message}`;
  }
}
