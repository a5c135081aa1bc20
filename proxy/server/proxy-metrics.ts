import type { Database } from "../cluster/database.ts";
import { LATENCY_BOUNDS_MS } from "../cluster/latency-histogram.ts";
import type { LatencyHistogram } from "../cluster/latency-histogram.ts";
import type { CommandStats } from "./command-stats.ts";
import type { MetricFamily, MetricSample } from "./metrics.ts";
import type { Totals } from "./totals.ts";

/** One database, and what its clients have asked. */
export interface MeasuredDoor {
  readonly database: Database;
  readonly stats: CommandStats;
}

/** How often another configuration was to be taken over. */
export interface Reloads {
  readonly loadedAt: Date;
  readonly done: number;
  readonly failed: number;
}

/** What `/metrics` shows of the proxy as a whole, whatever number of processes serves. */
export function proxyFamilies(reloads: Reloads): MetricFamily[] {
  return [
    counter("config_reloads", "Times another configuration was taken over.", reloads.done),
    counter("config_reload_failures", "Times a configuration could not be used, and the one before stayed in force.", reloads.failed),
    {
      name: "redis_access_config_loaded_timestamp_seconds",
      help: "When the configuration in force was read.",
      type: "gauge",
      samples: [{ labels: {}, value: reloads.loadedAt.getTime() / 1_000 }],
    },
  ];
}

/** What one process needs of the machine. */
export function processFamilies(): MetricFamily[] {
  return [
    {
      name: "process_cpu_seconds_total",
      help: "Processor time of the proxy's processes, their own and the system's for them.",
      type: "counter",
      samples: [{ labels: {}, value: cpuSeconds() }],
    },
    { name: "process_resident_memory_bytes", help: "Memory of the proxy's processes.", type: "gauge", samples: [{ labels: {}, value: process.memoryUsage.rss() }] },
  ];
}

/** What `/metrics` shows of a process that serves clients, as plain data. */
export function servingFamilies(totals: Totals, openSessions: number, doors: readonly MeasuredDoor[]): MetricFamily[] {
  const databases = doors.map(({ database }) => database);
  const perDatabase = (value: (database: Database) => number): MetricFamily["samples"] =>
    databases.map((database) => ({ labels: { database: database.name }, value: value(database) }));
  return [
    { name: "redis_access_sessions_open", help: "Client sessions open now.", type: "gauge", samples: [{ labels: {}, value: openSessions }] },
    counter("sessions", "Client sessions begun.", totals.sessions),
    counter("refused_connections", "Connections that were refused before they became a session.", totals.refusedConnections),
    counter("commands", "Commands answered.", totals.commands),
    counter("command_errors", "Commands answered with an error.", totals.errors),
    counter("commands_denied", "Commands that the profile does not offer.", totals.denied),
    counter("sessions_dropped", "Sessions ended by the proxy: broken protocol, or replies not read.", totals.dropped),
    {
      name: "redis_access_command_duration_seconds",
      help: "From a command's reading to its whole reply, by command.",
      type: "histogram",
      samples: doors.flatMap(({ database, stats }) =>
        [...stats.latencies].flatMap(([command, histogram]) => histogramSamples({ database: database.name, command }, histogram)),
      ),
    },
    {
      name: "redis_access_error_replies_total",
      help: "Error replies, by their first word.",
      type: "counter",
      samples: doors.flatMap(({ database, stats }) => [...stats.errors].map(([error, value]) => ({ labels: { database: database.name, error }, value }))),
    },
    {
      name: "redis_access_node_reply_duration_seconds",
      help: "From a command's reading to its whole reply, by the node that gave it; commands on shared connections.",
      type: "histogram",
      samples: databases.flatMap((database) =>
        [...database.nodeLatencies].flatMap(([node, histogram]) => histogramSamples({ database: database.name, node }, histogram)),
      ),
    },
    ...processFamilies(),
    {
      name: "redis_access_database_ready",
      help: "1 where the database's topology and commands are known.",
      type: "gauge",
      samples: perDatabase((database) => (database.ready ? 1 : 0)),
      across: "least",
    },
    {
      name: "redis_access_upstream_connections",
      help: "Connections to nodes open now.",
      type: "gauge",
      samples: perDatabase((database) => database.connectionCount),
    },
    {
      name: "redis_access_masters",
      help: "Masters in the topology.",
      type: "gauge",
      samples: perDatabase((database) => database.topology.masters.length),
      across: "greatest",
    },
    ...(
      [
        ["moved", "MOVED redirections followed."],
        ["refreshes", "Times the topology was read."],
        ["refreshFailures", "Times the topology could not be read."],
        ["logins", "Logins that Redis accepted."],
        ["loginFailures", "Logins that Redis refused, or that nobody could check."],
      ] as const
    ).map(
      ([key, help]): MetricFamily => ({
        name: `redis_access_${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`,
        help,
        type: "counter",
        samples: perDatabase((database) => database.counters[key]),
      }),
    ),
  ];
}

function counter(name: string, help: string, value: number): MetricFamily {
  return { name: `redis_access_${name}_total`, help, type: "counter", samples: [{ labels: {}, value }] };
}

function histogramSamples(labels: Readonly<Record<string, string>>, { buckets, count, sumMs }: LatencyHistogram): MetricSample[] {
  let below = 0;
  return [
    ...LATENCY_BOUNDS_MS.map((bound, i): MetricSample => {
      below += buckets[i]!;
      return { labels: { ...labels, le: String(bound / 1_000) }, value: below, suffix: "_bucket" };
    }),
    { labels: { ...labels, le: "+Inf" }, value: count, suffix: "_bucket" },
    { labels, value: sumMs / 1_000, suffix: "_sum" },
    { labels, value: count, suffix: "_count" },
  ];
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
