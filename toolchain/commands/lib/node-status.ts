import { readFileSync } from "node:fs";
import path from "node:path";

import { Redis } from "ioredis";

import type { NodeOutput } from "./outputs.ts";

/** How a node of the cluster is, as it says itself. */
export interface NodeStatus {
  readonly host: string;
  readonly port: number;
  /** `master` or `replica`; absent where the node could not be asked. */
  readonly role?: string;
  /** `ok`, or what is wrong in a few words. */
  readonly health: string;
  /** The hash slots that the node serves, as ranges. */
  readonly slots?: string;
}

/** Who asks a node. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

const TIMEOUT_MS = 3000;

/**
 * Asks one node over TLS how it is.
 *
 * @param directory that of the environment: a node's own certificate serves as the client's
 */
export async function nodeStatus(node: NodeOutput, directory: string, credentials: Credentials): Promise<NodeStatus> {
  const { host, port } = node;
  const files = path.join(directory, "nodes", String(port));
  let client: Redis | undefined;
  try {
    const read = (name: string): Buffer => readFileSync(path.join(files, name));
    client = new Redis({
      host,
      port,
      ...credentials,
      tls: { ca: read("ca.crt"), cert: read("server.crt"), key: read("server.key") },
      lazyConnect: true,
      connectTimeout: TIMEOUT_MS,
      commandTimeout: TIMEOUT_MS,
      retryStrategy: null,
      maxRetriesPerRequest: 0,
    });
    let lastError: Error | undefined;
    client.on("error", (error) => (lastError = error));
    await client.connect().catch((error: unknown) => {
      throw lastError ?? error;
    });
    return { host, port, ...describe(String(await client.cluster("NODES")), await client.cluster("INFO")) };
  } catch (error) {
    return { host, port, health: healthOf(error) };
  } finally {
    client?.disconnect();
  }
}

/** Reads a node's own line in the answers to CLUSTER NODES and CLUSTER INFO. */
export function describe(clusterNodes: string, clusterInfo: string): Omit<NodeStatus, "host" | "port"> {
  const fields = clusterNodes.split("\n").map((line) => line.split(" ")).find(([, , flags]) => flags?.split(",").includes("myself"));
  const state = /^cluster_state:(\w+)/m.exec(clusterInfo)?.[1] ?? "unknown";
  const link = fields?.[7];
  const role = fields?.[2]?.includes("master") === true ? "master" : "replica";
  const problems = [...(state === "ok" ? [] : [`cluster state ${state}`]), ...(link === "connected" ? [] : [`link ${link ?? "unknown"}`])];
  // Ranges in brackets are slots that are being moved.
  const slots = fields?.slice(8).filter((range) => !range.startsWith("[")).join(" ") ?? "";
  return { role, health: problems.length === 0 ? "ok" : problems.join(", "), ...(slots === "" ? {} : { slots }) };
}

function healthOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return "not running";
  if (code === "ENOENT") return "its files are missing";
  return message;
}
