import type { Database } from "../cluster/database.ts";
import type { DeliveryContext } from "../cluster/delivery.ts";
import type { UserConnections } from "../cluster/user-connections.ts";
import type { Lease } from "../cluster/users.ts";
import { encodeError, encodeSimple } from "../resp/encoder.ts";
import { accessDenied, stepOfAuth } from "./authentication.ts";
import type { SessionObserver, SessionPolicy } from "./session-options.ts";

const OK = encodeSimple("OK");
const NOAUTH = encodeError("NOAUTH Authentication required.");

/** What a client is told, and whether its connection ends with that. */
export interface LoginAnswer {
  readonly reply: Buffer;
  readonly close: boolean;
}

/** As which Redis user a session runs its commands, and by which connections. */
export class SessionLogin {
  /** The user's connections; undefined without a login. */
  users: UserConnections | undefined;
  context: DeliveryContext | undefined;

  readonly #database: Database;
  readonly #policy: SessionPolicy;
  readonly #observer: SessionObserver;
  readonly #onRevoked: () => void;
  #lease: Lease | undefined;
  /** The one Redis user that the session may be, once that is known. */
  #sessionUser: string | undefined;
  /** Whether Redis is being asked about a login. */
  pending = false;
  #ended = false;

  /** @param onRevoked called when Redis does not let the user in any more whom the session is logged in as */
  constructor(database: Database, policy: SessionPolicy, observer: SessionObserver, onRevoked: () => void) {
    this.#database = database;
    this.#policy = policy;
    this.#observer = observer;
    this.#onRevoked = onRevoked;
    this.#sessionUser = policy.databaseUser;
  }

  /** Whether the session has come to its end: what was asked for it is for nobody. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The answer to a command of a client that is not logged in, or not any more. */
  refusal(): LoginAnswer {
    const user = this.#policy.databaseUser;
    if (user === undefined || this.#policy.mayBeUser(user)) return { reply: NOAUTH, close: false };
    this.#observer.authentication(user, false);
    return { reply: accessDenied(this.#database.profile.errorPrefix), close: true };
  }

  /**
   * Logs in with the arguments of AUTH: Redis itself checks them.
   *
   * @param answer called once, at once or when Redis has answered; never after `end`
   */
  authenticate(args: readonly Buffer[], answer: (answer: LoginAnswer) => void): void {
    const step = stepOfAuth(args, {
      sessionUser: this.#sessionUser,
      mayBeUser: (user) => this.#policy.mayBeUser(user),
      errorPrefix: this.#database.profile.errorPrefix,
    });
    if (step.kind === "refuse") {
      this.#observer.authentication(step.user, false);
      answer(step);
      return;
    }
    this.pending = true;
    void this.#database.login(step, this.#onRevoked, () => !this.#ended).then((login) => {
      this.pending = false;
      const lease = "connections" in login ? login : undefined;
      if (this.#ended) {
        lease?.end();
        return;
      }
      this.#observer.authentication(step.user, lease !== undefined);
      if (lease !== undefined) this.#begin(lease);
      answer({ reply: "connections" in login ? OK : login.error, close: false });
    });
  }

  /** Gives the connections back; the session may log in again. */
  logout(): void {
    this.#lease?.end();
    this.#lease = this.users = this.context = undefined;
    this.#sessionUser = this.#policy.databaseUser;
  }

  /** As `logout`, for good. */
  end(): void {
    this.#ended = true;
    this.logout();
  }

  #begin(lease: Lease): void {
    this.#lease?.end();
    this.#lease = lease;
    this.users = lease.connections;
    this.context = this.#database.deliveryContext(this.users);
    this.#sessionUser = this.users.user;
  }
}
