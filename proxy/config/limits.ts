import type { Field } from "./field.ts";

/** What clients may use at most, and how long the proxy waits for things. In the file, under `limits`, `max_connections` and so on. */
export interface Limits {
  /** Clients of all listeners together. @default 10000 */
  readonly maxConnections: number;
  /** Bytes of one argument of a command, as `proto-max-bulk-len` of Redis. @default 536870912 */
  readonly maxBulkBytes: number;
  /** Arguments of one command, its name included; Redis's own bound. @default 1048576 */
  readonly maxArguments: number;
  /** Bytes of one argument before the client has logged in, as Redis bounds them. @default 16384 */
  readonly maxUnauthenticatedBytes: number;
  /** Arguments of one command before the client has logged in, as Redis bounds them. @default 10 */
  readonly maxUnauthenticatedArguments: number;
  /** Bytes of one inline command, as Redis bounds them. @default 65536 */
  readonly maxInlineBytes: number;
  /** Requests of one client that are under way; further ones are not read before replies have come. @default 10000 */
  readonly maxPipelineDepth: number;
  /**
   * Bytes of replies that a client has not read, or of its requests that are not answered, above which no more of its requests are
   * read; above eight times as many of replies, beside one of any size, it is dropped at once. @default 67108864
   */
  readonly maxClientOutputBytes: number;
  /**
   * Bytes that all clients of one worker may hold together, in requests and in replies; above it those that hold most are dropped, as
   * by `maxmemory-clients` of Redis. 0 for no bound. @default 2147483648
   */
  readonly maxClientsMemoryBytes: number;
  /** Milliseconds that a client may stay above `maxClientOutputBytes` before it is dropped. @default 30000 */
  readonly clientStallMs: number;
  /** Milliseconds without a request after which a client is dropped; 0 for never. @default 0 */
  readonly idleTimeoutMs: number;
  /** Milliseconds that a client has for its TLS handshake. @default 10000 */
  readonly tlsHandshakeTimeoutMs: number;
  /** Milliseconds that a connection to a node may take until it is usable. @default 5000 */
  readonly connectTimeoutMs: number;
  /** Milliseconds that a command which has reached no node waits for the cluster to come back. @default 15000 */
  readonly retryBudgetMs: number;
  /** Milliseconds between two looks at the topology where nothing calls for one earlier. @default 10000 */
  readonly topologyRefreshMs: number;
  /** Milliseconds from which on a command is told to the log as slow, unless it is one that waits; 0 for never. @default 1000 */
  readonly slowCommandMs: number;
  /** Milliseconds that clients have to finish when the proxy stops. @default 10000 */
  readonly drainMs: number;
}

interface Bounds {
  readonly key: string;
  readonly lowest: number;
  readonly highest: number;
  readonly byDefault: number;
}

const DAY_MS = 86_400_000;
const GIBIBYTE = 1_073_741_824;

const BOUNDS: Readonly<Record<keyof Limits, Bounds>> = {
  maxConnections: { key: "max_connections", lowest: 1, highest: 1_000_000, byDefault: 10_000 },
  maxBulkBytes: { key: "max_bulk_bytes", lowest: 1_024, highest: GIBIBYTE / 2, byDefault: GIBIBYTE / 2 },
  maxArguments: { key: "max_arguments", lowest: 16, highest: 1_048_576, byDefault: 1_048_576 },
  maxUnauthenticatedBytes: { key: "max_unauthenticated_bytes", lowest: 64, highest: 1_048_576, byDefault: 16_384 },
  maxUnauthenticatedArguments: { key: "max_unauthenticated_arguments", lowest: 3, highest: 1_024, byDefault: 10 },
  maxInlineBytes: { key: "max_inline_bytes", lowest: 64, highest: 1_048_576, byDefault: 65_536 },
  maxPipelineDepth: { key: "max_pipeline_depth", lowest: 1, highest: 1_000_000, byDefault: 10_000 },
  maxClientOutputBytes: { key: "max_client_output_bytes", lowest: 65_536, highest: GIBIBYTE, byDefault: 67_108_864 },
  maxClientsMemoryBytes: { key: "max_clients_memory_bytes", lowest: 0, highest: 1_024 * GIBIBYTE, byDefault: 2 * GIBIBYTE },
  clientStallMs: { key: "client_stall_ms", lowest: 100, highest: DAY_MS, byDefault: 30_000 },
  idleTimeoutMs: { key: "idle_timeout_ms", lowest: 0, highest: DAY_MS, byDefault: 0 },
  tlsHandshakeTimeoutMs: { key: "tls_handshake_timeout_ms", lowest: 100, highest: 120_000, byDefault: 10_000 },
  connectTimeoutMs: { key: "connect_timeout_ms", lowest: 50, highest: 120_000, byDefault: 5_000 },
  retryBudgetMs: { key: "retry_budget_ms", lowest: 0, highest: 600_000, byDefault: 15_000 },
  topologyRefreshMs: { key: "topology_refresh_ms", lowest: 100, highest: DAY_MS, byDefault: 10_000 },
  slowCommandMs: { key: "slow_command_ms", lowest: 0, highest: DAY_MS, byDefault: 1_000 },
  drainMs: { key: "drain_ms", lowest: 0, highest: 3_600_000, byDefault: 10_000 },
};

/** The limits where the file names none. */
export const DEFAULT_LIMITS: Limits = collect(({ byDefault }) => byDefault);

/** Reads `limits`; those that the file does not name have their defaults. */
export function readLimits(field: Field): Limits {
  if (!field.present) return DEFAULT_LIMITS;
  const fields = field.fields(...Object.values(BOUNDS).map(({ key }) => key));
  return collect(({ key, lowest, highest, byDefault }) => {
    const limit = fields[key]!;
    return limit.present ? limit.integer(lowest, highest) : byDefault;
  });
}

function collect(value: (bounds: Bounds) => number): Limits {
  return Object.fromEntries(Object.entries(BOUNDS).map(([name, bounds]) => [name, value(bounds)])) as Record<keyof Limits, number>;
}
