import type { Socket } from "node:net";
import type { Database } from "../cluster/database.ts";
import type { Exchange } from "../cluster/exchange.ts";
import type { Request, RequestLimits } from "../resp/request-parser.ts";
import type { Session } from "./session.ts";

/** What the client's certificate and roles say about its session. */
export interface SessionPolicy {
  /** The Redis user that the certificate names; the session is for that one only. */
  readonly databaseUser: string | undefined;
  readonly mayBeUser: (redisUser: string) => boolean;
}

/** What a session may use at most. */
export interface SessionLimits {
  readonly authenticated: RequestLimits;
  /** Small, as Redis's own are before AUTH. */
  readonly unauthenticated: RequestLimits;
  /** Requests without a reply. */
  readonly maxPipelineDepth: number;
  /** Bytes of replies that the client has not read, or of requests without a reply; then none of its requests are read any more. */
  readonly maxClientOutputBytes: number;
  /** Milliseconds that a client may leave it at that before it is dropped. */
  readonly clientStallMs: number;
  /** Milliseconds without a request after which the client is dropped; 0 for never. */
  readonly idleTimeoutMs: number;
}

/** Who hears what a session does: the audit and the metrics. All are called after the fact, and must not throw. */
export interface SessionObserver {
  /** Whether what is done next can be recorded; where it cannot, commands are refused. Asked once for each batch of requests. */
  readonly accepting: () => boolean;
  /** Where it cannot be recorded just now, and will be in a moment: has `callback` called then, and returns true. */
  readonly onceCaughtUp: (callback: () => void) => boolean;
  /** Requests whose replies are all on their way to the client; or, where `answered` is less than `count`, whose client has gone. */
  readonly exchangeDone: (exchange: Exchange) => void;
  /** A command that the profile does not offer. Its error is booked by `exchangeDone` as well. */
  readonly refused: (request: Request) => void;
  readonly authentication: (redisUser: string, ok: boolean) => void;
  /** The client is sent away. */
  readonly dropped: (reason: string) => void;
}

/** What a session is made of. */
export interface SessionOptions {
  /** Unique in this process. */
  readonly id: number;
  readonly socket: Socket;
  readonly database: Database;
  readonly policy: SessionPolicy;
  readonly limits: SessionLimits;
  readonly observer: SessionObserver;
  readonly onEnd: (session: Session) => void;
}
