import type { Database } from "../cluster/database.ts";
import type { MetricFamily } from "./metrics.ts";
import type { Totals } from "./proxy.ts";

/** How often another configuration was to be taken over. */
export interface Reloads {
  readonly loadedAt: Date;
  readonly done: number;
  readonly failed: number;
}

/** What `/metrics` shows, as plain data. */
export function metricFamilies(totals: Totals, openSessions: number, databases: readonly Database[], reloads: Reloads): MetricFamily[] {
  const perDatabase = (value: (database: Database) => number): MetricFamily["samples"] =>
    databases.map((database) => ({ labels: { database: database.name }, value: value(database) }));
  const counter = (name: string, help: string, value: number): MetricFamily => ({
    name: `redis_access_${name}_total`,
    help,
    type: "counter",
    samples: [{ labels: {}, value }],
  });
  return [
    { name: "redis_access_sessions_open", help: "Client sessions open now.", type: "gauge", samples: [{ labels: {}, value: openSessions }] },
    counter("sessions", "Client sessions begun.", totals.sessions),
    counter("refused_connections", "Connections that were refused before they became a session.", totals.refusedConnections),
    counter("commands", "Commands answered.", totals.commands),
    counter("command_errors", "Commands answered with an error.", totals.errors),
    counter("commands_denied", "Commands that the profile does not offer.", totals.denied),
    counter("sessions_dropped", "Sessions ended by the proxy: broken protocol, or replies not read.", totals.dropped),
    counter("config_reloads", "Times another configuration was taken over.", reloads.done),
    counter("config_reload_failures", "Times a configuration could not be used, and the one before stayed in force.", reloads.failed),
    {
      name: "redis_access_config_loaded_timestamp_seconds",
      help: "When the configuration in force was read.",
      type: "gauge",
      samples: [{ labels: {}, value: reloads.loadedAt.getTime() / 1_000 }],
    },
    {
      name: "redis_access_database_ready",
      help: "1 where the database's topology and commands are known.",
      type: "gauge",
      samples: perDatabase((database) => (database.ready ? 1 : 0)),
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
