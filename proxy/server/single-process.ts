import { AuditLog } from "../access/audit.ts";
import type { ProxyConfig } from "../config.ts";
import type { LoadedConfig } from "./door.ts";
import type { Fleet, FleetChange, WorkerStatus } from "./fleet.ts";
import type { ListeningSockets } from "./listening-sockets.ts";
import type { Logger } from "./log.ts";
import type { MetricFamily } from "./metrics.ts";
import { SeatCount } from "./seats.ts";
import { Serving } from "./serving.ts";
import type { SessionSummary } from "./serving.ts";
import type { SessionDetail } from "./session-state.ts";
import { makeTicketSecret } from "./ticket-keys.ts";

/** A proxy that serves its clients in its own process. */
export class SingleProcess implements Fleet {
  readonly #sockets: ListeningSockets;
  readonly #log: Logger;
  #config: ProxyConfig | undefined;
  #audit: AuditLog | undefined;
  #serving: Serving | undefined;

  constructor(sockets: ListeningSockets, log: Logger) {
    this.#sockets = sockets;
    this.#log = log;
  }

  async start(loaded: LoadedConfig, reached: readonly string[]): Promise<void> {
    const { audit } = (this.#config = loaded.config);
    if (audit !== undefined) this.#audit = await AuditLog.open(audit.file, { onFailure: audit.onFailure });
    const seats = new SeatCount(() => this.#config!.limits.maxConnections);
    this.#serving = await Serving.start({ log: this.#log, seats, audit: this.#audit, sockets: this.#sockets, ticketSecret: makeTicketSecret() }, loaded, reached);
  }

  async prepare(loaded: LoadedConfig): Promise<FleetChange> {
    const change = await this.#serving!.prepare(loaded);
    return {
      apply: () => {
        this.#config = loaded.config;
        change.apply();
        return Promise.resolve();
      },
      discard: () => {
        change.discard();
        return Promise.resolve();
      },
    };
  }

  async reopenAudit(): Promise<void> {
    await this.#audit?.reopen();
  }

  useTicketSecret(secret: Buffer): void {
    this.#serving?.useTicketSecret(secret);
  }

  async drain(): Promise<void> {
    await this.#serving?.drain();
    await this.#audit?.close();
  }

  status(): Promise<readonly WorkerStatus[]> {
    return Promise.resolve([{ pid: process.pid, status: this.#serving?.status() }]);
  }

  auditFile(): undefined {
    return undefined;
  }

  sessions(): Promise<readonly SessionSummary[]> {
    return Promise.resolve(this.#serving?.sessions() ?? []);
  }

  session(id: number): Promise<(SessionSummary & SessionDetail) | undefined> {
    return Promise.resolve(this.#serving?.session(id));
  }

  families(): Promise<readonly MetricFamily[]> {
    return Promise.resolve(this.#serving?.families() ?? []);
  }
}
