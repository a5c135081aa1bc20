import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Socket } from "node:net";
import { AuditLog } from "../access/audit.ts";
import type { Logger } from "../server/log.ts";
import type { Seats } from "../server/seats.ts";
import { Serving } from "../server/serving.ts";
import type { PreparedChange } from "../server/serving.ts";
import { AuditPipe } from "./audit-pipe.ts";
import { RemoteCalls } from "./remote-calls.ts";
import type { PrimaryCalls, WorkerCalls, WorkerStart } from "./worker-calls.ts";
import { AUDIT_DESCRIPTOR } from "./worker-process.ts";

/** A process that serves clients for the primary that has started it, and ends with it. */
export class Worker {
  readonly #log: Logger;
  readonly #calls: RemoteCalls<PrimaryCalls, WorkerCalls>;
  #serving: Serving | undefined;
  #audit: AuditLog | undefined;
  #prepared: PreparedChange | undefined;
  /** Why it ends when the primary lets go of it; undefined while that would be the primary's death. */
  #drained: Promise<void> | undefined;
  #arrived = 0;
  #closed = 0;
  #seatsLeft = 0;
  #telling = false;

  constructor(log: Logger) {
    this.#log = log;
    this.#calls = new RemoteCalls<PrimaryCalls, WorkerCalls>(
      (message) => {
        process.send!(message, undefined, {}, () => undefined);
      },
      {
        start: (start) => this.#start(start),
        prepare: async (loaded) => {
          this.#prepared?.discard();
          this.#prepared = undefined;
          this.#prepared = await this.#serving!.prepare(loaded);
        },
        apply: () => {
          this.#prepared?.apply();
          this.#prepared = undefined;
        },
        discard: () => {
          this.#prepared?.discard();
          this.#prepared = undefined;
        },
        client: (address, socket) => {
          this.#arrived++;
          if (socket === undefined) {
            // It was closed on its way.
            this.#closed++;
            this.#tellSoon();
            return;
          }
          socket.once("close", () => {
            this.#closed++;
            this.#tellSoon();
          });
          this.#tellSoon();
          this.#serving?.receive(socket, address);
        },
        ticketSecret: (secret) => {
          this.#serving?.useTicketSecret(Buffer.from(secret));
        },
        drain: () => this.#drain(),
        status: () => this.#serving!.status(),
        sessions: () => this.#serving!.sessions(),
        session: (id) => this.#serving!.session(id),
        families: () => this.#serving!.families(),
      },
    );
  }

  /** Begins to follow the primary. */
  run(): void {
    process.on("message", (message, socket) => {
      this.#calls.receive(message, socket instanceof Socket ? socket : undefined);
    });
    process.on("disconnect", () => {
      // Without the primary nobody listens, and nobody writes the audit.
      process.exit(this.#drained === undefined ? 1 : 0);
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        this.#calls.tell("leaving", undefined);
        void this.#drain().then(() => process.exit(0));
      });
    }
    // It is the primary that reads configurations, and that has a successor.
    for (const signal of ["SIGHUP", "SIGUSR2"] as const) process.on(signal, () => undefined);
  }

  async #start({ loaded, program, ticketSecret, reached }: WorkerStart): Promise<void> {
    const own = createHash("sha256").update(await readFile(process.argv[1]!)).digest("hex");
    if (own !== program) throw new Error("the program on disk is not the one that the proxy was started with; restart the proxy");
    const { audit } = loaded.config;
    if (audit !== undefined) {
      this.#audit = AuditLog.over(audit.file, new AuditPipe(new Socket({ fd: AUDIT_DESCRIPTOR })), { onFailure: audit.onFailure });
    }
    const host = { log: this.#log, seats: this.#seats(), audit: this.#audit, sockets: undefined, ticketSecret: Buffer.from(ticketSecret) };
    this.#serving = await Serving.start(host, loaded, reached);
  }

  #seats(): Seats {
    return {
      take: () => this.#calls.call("seat", undefined),
      leave: () => {
        this.#seatsLeft++;
        this.#tellSoon();
      },
    };
  }

  #drain(): Promise<void> {
    this.#drained ??= (async () => {
      await this.#serving?.drain();
      await this.#audit?.close();
    })();
    return this.#drained;
  }

  /** Once for all that happens in a turn of the event loop. */
  #tellSoon(): void {
    if (this.#telling) return;
    this.#telling = true;
    setImmediate(() => {
      this.#telling = false;
      if (this.#seatsLeft > 0) this.#calls.tell("seatsLeft", this.#seatsLeft);
      if (this.#arrived + this.#closed > 0) this.#calls.tell("sockets", { arrived: this.#arrived, closed: this.#closed });
      this.#seatsLeft = this.#arrived = this.#closed = 0;
    });
  }
}
