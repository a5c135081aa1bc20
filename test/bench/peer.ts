import type { TestCluster } from "../support/redis-cluster.ts";

/** Where the load of a benchmark goes, and whose cost is measured. */
export interface Peer {
  readonly name: string;
  /** Arguments of redis-benchmark that lead there. */
  readonly connect: readonly string[];
  /** The process whose processor time and memory are measured; undefined where nothing stands between client and Redis. */
  readonly pid: number | undefined;
  /** Where clients of another kind than redis-benchmark's connect. */
  readonly clients: ClientDoor;
  stop(): Promise<void>;
}

/** Where clients connect, and by which files. */
export interface ClientDoor {
  /** One of a proxy; of a cluster one for each master. */
  readonly ports: readonly number[];
  /** The one that serves a key. */
  readonly portOf: (key: string) => number;
  readonly files: PemFiles;
}

/** The door of a proxy: one port for all keys. */
export function oneDoor(port: number, files: PemFiles): ClientDoor {
  return { ports: [port], portOf: () => port, files };
}

/** What TLS needs, as files. */
export interface PemFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What a peer is made from. */
export interface PeerContext {
  readonly cluster: TestCluster;
  /** Where programs that are no part of a system's packages are kept between runs. */
  readonly cache: string;
  /** PEM files of the Redis CA and of a leaf of it, which is server and client: for all that stands in front of Redis but this project's proxy. */
  readonly files: PemFiles;
  /** A directory for the peers' own files. */
  readonly directory: string;
}

/** Redis user of the load. The cluster lives for one run, and redis-benchmark takes passwords in its argument list only. */
export const loadUser = "alice";

/** A peer that this machine cannot have. It says why, and the benchmark goes on without it. */
export class PeerUnavailableError extends Error {
  readonly code = "PEER_UNAVAILABLE";

  constructor(name: string, problem: string) {
    super(`${name} is left out: ${problem}`);
    this.name = "PeerUnavailableError";
  }
}

/** redis-benchmark's arguments for mutual TLS to an address. */
export function tlsArguments(port: number, files: PemFiles): string[] {
  return ["-h", "127.0.0.1", "-p", String(port), "--tls", "--cacert", files.ca, "--cert", files.cert, "--key", files.key];
}
