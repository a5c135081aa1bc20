import { integer, list, map, object, optional, path, sha256, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";

const port = integer(1, 65_535);

/** What a program that runs until the stack says otherwise is declared by. */
export const processFields = {
  program: path,
  args: withDefault(list(text), []),
  directory: path,
  environment: withDefault(map(text), {}),
  logFile: path,
  /** Where the process is recorded; it names the resource. */
  recordFile: path,
  /** Further files that it writes itself and that only its owner may read, as its log: drift of their mode is told and mended. */
  privateFiles: withDefault(list(path), []),
  /** Addresses it listens on; taken by another program, they are refused before anything is changed. */
  listens: withDefault(list(object({ host: text, port })), []),
  readyTcp: optional(text),
  readyHttp: optional(text),
  readyRedis: optional(object({ host: text, port, caFile: path, certFile: path, keyFile: path, pem: optional(object({ ca: text, cert: text, key: text })), user: text, password: text })),
  /** What the node of `readyRedis` must show while it runs. */
  nodeDeclaration: optional(object({ conf: text, acl: text, certificate: text })),
  /** What a proxy must answer while it runs. */
  proxyDeclaration: optional(object({ url: text, program: sha256, configuration: sha256 })),
  /** The other nodes of the cluster that the node of `readyRedis` belongs to: one of them takes over before it is stopped or started. */
  clusterPeers: withDefault(list(object({ host: text, port })), []),
  /** Where it is written down that this cluster is formed: as long as it is, a node that the cluster lives on is not deleted. */
  clusterFile: optional(path),
  /**
   * Where the program, started with this path among its arguments, finds at SIGUSR2 what to start in its place, as JSON of `command`
   * and `environment`. It hands its listening sockets over to that one, and ends when that one takes clients; it goes on if that
   * one does not come so far. Without it, a process ends before the next one is started.
   */
  successorFile: optional(path),
  readyLimitSeconds: withDefault(integer(1, 600), 30),
  stopLimitSeconds: withDefault(integer(1, 600), 20),
  /** Anything whose change must restart it, such as the hash of its program. */
  restartOn: withDefault(map(text), {}),
  /**
   * Anything that it takes over while it runs, where `nodeDeclaration` or `proxyDeclaration` tells whether it has: a node is told
   * each parameter, user and certificate that differs, a proxy gets SIGHUP. What is not taken over that way, a restart brings.
   */
  reloadOn: withDefault(map(text), {}),
};

/** A declared program. */
export type ProcessInputs = Parsed<typeof processFields>;
