import { createHash } from "node:crypto";
import type { Address } from "../routing/topology.ts";
import type { LoginAnswer } from "./login-check.ts";
import { UpstreamError } from "./upstream-error.ts";
import type { Credentials, UserConnections, UserEvents } from "./user-connections.ts";

/** Connections of a user without sessions are kept so long for the next one. */
const UNUSED_MS = 60_000;
/** How often Redis is asked whether a user may still log in. It says nothing of itself where a password has changed. */
const CHECK_MS = 1_000;
/** Users that are asked about at a time, so that many of them are no load. */
const MOST_CHECKS = 100;
/** A connection that was lost is made anew at the earliest so long after the last one that was. */
const REOPEN_MS = 1_000;

/** What the users of a database need of it. */
export interface UsersHost {
  /** Makes the connections of a user. */
  readonly open: (credentials: Credentials, events: UserEvents) => UserConnections;
  /** Has Redis check a login. */
  readonly check: (credentials: Credentials) => Promise<LoginAnswer>;
  /** A connection to a node has ended that the proxy did not close itself. */
  readonly lost: (address: Address, reason: UpstreamError) => void;
}

/** A session's use of a user's connections. */
export interface Lease {
  readonly connections: UserConnections;
  /** Must be called once, when the session does not use them any more. */
  readonly end: () => void;
}

interface User {
  readonly credentials: Credentials;
  readonly connections: UserConnections;
  /** What to do with each session that uses them, should Redis not let the user in any more. */
  readonly sessions: Set<() => void>;
  unusedSince: number;
  checkedAt: number;
  reopenedAt: number;
}

/**
 * The Redis users that sessions of one database have logged in as, with their connections. A user whom Redis does not let in any
 * more, because it was deleted, switched off or given another password, loses connections and sessions, those among them that do
 * nothing: Redis itself keeps connections that have logged in once, but for those of a deleted user.
 */
export class Users {
  readonly #host: UsersHost;
  readonly #users = new Map<string, User>();

  constructor(host: UsersHost) {
    this.#host = host;
  }

  /**
   * Lets a session use the connections of a user whose login Redis has accepted.
   *
   * @param revoked called at most once, and not after the lease's end: Redis does not let the user in any more
   */
  enter(credentials: Credentials, revoked: () => void): Lease {
    const key = credentialsKey(credentials);
    let user = this.#users.get(key);
    if (user === undefined || user.connections.refused !== undefined) this.#users.set(key, (user = this.#make(credentials)));
    const { connections, sessions } = user;
    // Of its own: one session may log in twice.
    const told = (): void => {
      revoked();
    };
    sessions.add(told);
    return {
      connections,
      end: () => {
        sessions.delete(told);
        user.unusedSince = performance.now();
      },
    };
  }

  /** The connections of all users. */
  *connections(): Iterable<UserConnections> {
    for (const { connections } of this.#users.values()) yield connections;
  }

  /** Asks about users whose turn it is, and closes the connections of those who have left. To be called every now and then. */
  look(): void {
    const now = performance.now();
    const due: User[] = [];
    for (const [key, user] of this.#users) {
      if (user.connections.refused !== undefined) {
        this.#users.delete(key);
      } else if (user.sessions.size > 0) {
        if (now - user.checkedAt >= CHECK_MS) due.push(user);
      } else if (user.connections.lends) {
        // A session that has logged in with another password meanwhile has left state in it.
        user.unusedSince = now;
      } else if (now - user.unusedSince > UNUSED_MS) {
        user.connections.close("nobody uses it");
        this.#users.delete(key);
      }
    }
    // Those first whom nobody has asked about for longest: where they are many, each has its turn.
    due.sort((a, b) => a.checkedAt - b.checkedAt);
    for (const user of due.slice(0, MOST_CHECKS)) {
      user.checkedAt = now;
      void this.#check(user);
    }
  }

  #make(credentials: Credentials): User {
    const sessions = new Set<() => void>();
    const now = performance.now();
    const connections = this.#host.open(credentials, {
      onFailure: (address, reason) => {
        this.#host.lost(address, reason);
        if (reason.code === "UPSTREAM_LOST") this.#reopen(user, address);
      },
      onRefused: () => {
        for (const revoked of [...sessions]) revoked();
      },
    });
    const user: User = { credentials, connections, sessions, unusedSince: now, checkedAt: now, reopenedAt: -Infinity };
    return user;
  }

  /** Redis closes the connections of a user that is deleted: the node that has done so is the first to know. */
  #reopen(user: User, address: Address): void {
    const now = performance.now();
    if (user.sessions.size === 0 || now - user.reopenedAt < REOPEN_MS) return;
    user.reopenedAt = now;
    user.connections.to(address);
  }

  async #check({ credentials, connections }: User): Promise<void> {
    const answer = await this.#host.check(credentials);
    if (answer.verdict !== "refused") return;
    const reply = answer.reply.toString("latin1").trimEnd();
    connections.refuse(new UpstreamError("UPSTREAM_AUTHENTICATION", `Redis does not let ${credentials.user} in any more: ${reply.slice(1)}`, { reply }));
  }
}

/** The password is part of the key only as a digest: two passwords of one user never share connections. */
function credentialsKey(credentials: Credentials): string {
  const hash = createHash("sha256");
  for (const argument of credentials.auth) hash.update(`${argument.length}:`).update(argument);
  return `${credentials.user}\n${hash.digest("hex")}`;
}
