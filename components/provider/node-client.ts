import type { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import { parseInfo } from "../cluster-nodes.ts";

/** How to reach and log in to one Redis node: mutual TLS, then a Redis user. */
export interface NodeAccess {
  readonly host: string;
  readonly port: number;
  /** PEM files: the CA that signed the node's certificate, and the certificate and key to show it. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** What these files must hold, where it is known: the files themselves may be damaged. */
  readonly pem?: { readonly ca: string; readonly cert: string; readonly key: string } | undefined;
  readonly user: string;
  readonly password: string;
}

/** Sends one command and gives its reply. */
export type NodeCall = (command: string, ...args: string[]) => Promise<unknown>;

/** A node that cannot be reached, does not let us in, or does not answer in time. */
export class NodeUnreachableError extends Error {
  readonly code = "NODE_UNREACHABLE";

  constructor(name: string, problem: string, options?: ErrorOptions) {
    super(`${name}: ${problem}`, options);
    this.name = "NodeUnreachableError";
  }
}

/** Limit for the connection and for each command, in milliseconds. */
const answerLimitMs = 5000;

/**
 * Connects to a node, uses the connection, and closes it.
 * @throws {NodeUnreachableError} no connection, no handshake, no login. Errors of single commands come as Redis sent them.
 */
export async function withNode<T>(access: NodeAccess, use: (call: NodeCall, served: () => X509Certificate) => Promise<T>): Promise<T> {
  return withConnection(`${access.host}:${access.port}`, await optionsFor(access), (call, client) => use(call, () => (client.stream as TLSSocket).getPeerX509Certificate()!));
}

/** A connection to a node that stays until it is closed, or lost. */
export interface OpenNode {
  readonly call: NodeCall;
  isOpen(): boolean;
  close(): void;
}

/**
 * Connects to a node for many commands.
 * @throws {NodeUnreachableError} no connection, no handshake, no login
 */
export async function openNode(access: NodeAccess, commandLimitMs: number): Promise<OpenNode> {
  const client = await connect(`${access.host}:${access.port}`, { ...(await optionsFor(access)), commandTimeout: commandLimitMs });
  return {
    call: async (command, ...args) => client.call(command, ...args),
    isOpen: () => client.status === "ready",
    close: () => {
      client.disconnect();
    },
  };
}

async function optionsFor(access: NodeAccess): Promise<RedisOptions> {
  const { host, port, user: username, password } = access;
  const identity = access.pem ?? (await readIdentity(access));
  return { host, port, username, password, tls: { ...identity, ...(isIP(host) === 0 ? { servername: host } : {}) } };
}

async function readIdentity({ caFile, certFile, keyFile }: NodeAccess): Promise<{ ca: Buffer; cert: Buffer; key: Buffer }> {
  const [ca, cert, key] = await Promise.all([readFile(caFile), readFile(certFile), readFile(keyFile)]);
  return { ca, cert, key };
}

/**
 * Connects to any Redis server, uses the connection, and closes it.
 * @param name of the server, for the error
 * @throws {NodeUnreachableError} as `withNode`
 */
export async function withConnection<T>(name: string, options: RedisOptions, use: (call: NodeCall, client: Redis) => Promise<T>): Promise<T> {
  const client = await connect(name, options);
  try {
    return await use(async (command, ...args) => client.call(command, ...args), client);
  } finally {
    client.disconnect();
  }
}

async function connect(name: string, options: RedisOptions): Promise<Redis> {
  const client = new Redis({
    lazyConnect: true,
    // One try: whoever calls decides about the next.
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    // The ready check needs INFO to answer and waits while a node loads; here, loading is something to see.
    enableReadyCheck: false,
    disableClientInfo: true,
    connectTimeout: answerLimitMs,
    commandTimeout: answerLimitMs,
    ...options,
  });
  let cause: Error | undefined;
  client.on("error", (error: Error) => (cause = error));
  try {
    await client.connect();
    return client;
  } catch (error) {
    client.disconnect();
    throw unreachable(name, cause ?? error);
  }
}

function unreachable(name: string, cause: unknown): NodeUnreachableError {
  return new NodeUnreachableError(name, cause instanceof Error ? cause.message : String(cause), { cause });
}

/** How one node is doing, as far as a restart of its neighbour depends on it. */
export interface NodeHealth {
  /** It answers commands: it is not loading its data. */
  readonly answering: boolean;
  /** Its cluster is ok and, if it is a replica, its link to the master is up; a node in no cluster yet has nothing to wait for. */
  readonly settled: boolean;
}

/** Asks a node how it is. */
export async function askHealth(access: NodeAccess): Promise<NodeHealth> {
  return withNode(access, async (call) => {
    const reply = await call("PING").catch((error: unknown) => error);
    if (reply !== "PONG") return { answering: false, settled: false };
    const cluster = parseInfo(String(await call("CLUSTER", "INFO")));
    const replication = parseInfo(String(await call("INFO", "replication")));
    const alone = cluster.get("cluster_known_nodes") === "1";
    const linked = replication.get("role") !== "slave" || replication.get("master_link_status") === "up";
    return { answering: true, settled: alone || (cluster.get("cluster_state") === "ok" && linked) };
  });
}
