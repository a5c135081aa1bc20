import { connect } from "node:net";
import { askHealth } from "./node-client.ts";
import type { NodeAccess } from "./node-client.ts";

/** How to find out that a program is ready to work. Exactly one is given. */
export interface Probe {
  /** `host:port` accepts a connection. */
  readonly tcp: string | undefined;
  /** A GET is answered with 200. */
  readonly http: string | undefined;
  /** A Redis node answers commands over mutual TLS. */
  readonly redis: NodeAccess | undefined;
}

/** What a probe saw: undefined if all is well, else why not. */
export type ProbeResult = string | undefined;

const probeLimitMs = 3000;
/** What a probe says of a Redis node that reads its data from disk: it will be ready, and how soon depends on its size. */
export const loadingComplaint = "it is still loading its data";

/** What a probe says of a node that answers, and whose cluster or link to its master is not well: either may pass by itself. */
export const unsettledComplaint = "its cluster is not ok, or its link to the master is down";

/** Looks once whether the program is ready. */
export async function probeReady(probe: Probe): Promise<ProbeResult> {
  if (probe.redis !== undefined) return probeRedis(probe.redis, "answering");
  if (probe.http !== undefined) return probeHttp(probe.http);
  return probeTcp(probe.tcp ?? "");
}

/**
 * Looks once whether the program's part of a greater whole is well: a node's cluster. For other programs, being ready is all.
 * It is what a rolling restart waits for between two nodes.
 */
export async function probeSettled(probe: Probe): Promise<ProbeResult> {
  return probe.redis === undefined ? undefined : probeRedis(probe.redis, "settled");
}

async function probeRedis(access: NodeAccess, wanted: "answering" | "settled"): Promise<ProbeResult> {
  try {
    const health = await askHealth(access);
    if (health[wanted]) return undefined;
    return wanted === "answering" ? loadingComplaint : unsettledComplaint;
  } catch (error) {
    return describe(error);
  }
}

async function probeHttp(url: string): Promise<ProbeResult> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(probeLimitMs), redirect: "manual" });
    const body = (await response.text()).trim().slice(0, 300);
    return response.status === 200 ? undefined : `${url} answers ${response.status}: ${body}`;
  } catch (error) {
    return `${url}: ${describe(error)}`;
  }
}

async function probeTcp(address: string): Promise<ProbeResult> {
  const colon = address.lastIndexOf(":");
  const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), timeout: probeLimitMs });
  try {
    return await new Promise<ProbeResult>((resolve) => {
      socket.once("connect", () => {
        resolve(undefined);
      });
      socket.once("timeout", () => {
        resolve(`${address} does not answer`);
      });
      socket.once("error", (error) => {
        resolve(error.message);
      });
    });
  } finally {
    socket.destroy();
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.message === "fetch failed" ? error.cause.message || error.message : error.message;
}
