import type { AuditHealth } from "../access/audit.ts";
import type { LoadedConfig } from "./door.ts";
import type { MetricFamily } from "./metrics.ts";
import type { ServingStatus, SessionSummary } from "./serving.ts";
import type { SessionDetail } from "./session-state.ts";

/** One process that serves clients, as `/healthz` and `/readyz` show it. */
export interface WorkerStatus {
  /** 1, 2 and so on; a worker that takes a dead one's place has its number. Absent where the proxy is one process. */
  readonly worker?: number;
  readonly pid: number;
  /** Undefined while it starts, and while it does not answer. */
  readonly status: ServingStatus | undefined;
}

/** Another configuration that all processes are ready to take over. */
export interface FleetChange {
  /** Has all of them take it over. */
  apply(): Promise<void>;
  /** Has all of them forget it. */
  discard(): Promise<void>;
}

/** What serves the clients of a proxy: its own process, or several workers. */
export interface Fleet {
  /**
   * Begins to serve.
   *
   * @param reached names of databases that must be reached before
   * @throws ConfigError or Error where that cannot be
   */
  start(loaded: LoadedConfig, reached: readonly string[]): Promise<void>;
  /**
   * Has all processes make what another configuration needs; nothing changes yet.
   *
   * @throws ConfigError or Error where one of them cannot; then none of them will
   */
  prepare(loaded: LoadedConfig): Promise<FleetChange>;
  /** Opens the audit's file anew, after a rotation. */
  reopenAudit(): Promise<void>;
  /** Has TLS sessions sealed by another secret from now on. */
  useTicketSecret(secret: Buffer): void;
  /** Takes no more clients, lets those that are there finish within the configured time, and ends. */
  drain(): Promise<void>;
  /** All processes that should be there. */
  status(): Promise<readonly WorkerStatus[]>;
  /** How the audit's file is, where another process than those that serve has it. */
  auditFile(): AuditHealth | undefined;
  /** All sessions, oldest first. */
  sessions(): Promise<readonly SessionSummary[]>;
  /** One session, with its requests and connections; undefined where there is none of that number. */
  session(id: number): Promise<(SessionSummary & SessionDetail) | undefined>;
  /** What `/metrics` shows, over all processes. */
  families(): Promise<readonly MetricFamily[]>;
}
