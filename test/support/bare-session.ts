import type { Socket } from "node:net";
import type { AuditLog } from "../../proxy/access/audit.ts";
import type { Database } from "../../proxy/cluster/database.ts";
import { CommandStats } from "../../proxy/server/command-stats.ts";
import { createLogger } from "../../proxy/server/log.ts";
import { sessionObserver } from "../../proxy/server/session-audit.ts";
import type { SessionLimits, SessionObserver, SessionPolicy } from "../../proxy/server/session-options.ts";
import { Session } from "../../proxy/server/session.ts";
import { SlowLog } from "../../proxy/server/slow-log.ts";

const roomy = { maxBulkBytes: 536_870_912, maxArguments: 1_048_576, maxInlineBytes: 65_536 };
const roomyLimits: SessionLimits = {
  authenticated: roomy,
  unauthenticated: roomy,
  maxPipelineDepth: 10_000,
  maxClientOutputBytes: 67_108_864,
  clientStallMs: 5_000,
  idleTimeoutMs: 0,
};

/** What may be said of a session; what is not is as in a proxy without limits of its own. */
export interface SessionSettings {
  readonly limits?: Partial<SessionLimits>;
  readonly policy?: Partial<SessionPolicy>;
  readonly observer?: Partial<SessionObserver>;
  /** Where all commands are written; nowhere without it. */
  readonly audit?: AuditLog;
}

/** A session as the proxy makes it for a client that has come in, without a listener, its TLS or its roles. */
export function openSession(id: number, socket: Socket, database: Database, { limits, policy, observer, audit }: SessionSettings = {}): Session {
  const log = createLogger(() => undefined);
  const totals = { sessions: 0, refusedConnections: 0, commands: 0, errors: 0, denied: 0, dropped: 0 };
  const identity = { user: "tester", roles: ["access"], databaseUser: undefined };
  const commands = audit === undefined ? "none" : "all";
  const usual = sessionObserver({ id, identity, remote: "127.0.0.1:50000", database, audit, commands, totals, stats: new CommandStats(), slowLog: new SlowLog(log), slowCommandMs: 0, log });
  return new Session({
    ...{ id, socket, database },
    policy: { databaseUser: undefined, mayBeUser: () => true, ...policy },
    limits: { ...roomyLimits, ...limits },
    observer: { ...usual, ...observer },
    onEnd: () => undefined,
  });
}
