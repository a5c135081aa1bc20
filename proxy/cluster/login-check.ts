import type { Socket } from "node:net";
import type { Address } from "../routing/topology.ts";
import { addressKey } from "../routing/topology.ts";
import { loginVerdict } from "./login-reply.ts";
import { ask } from "./question.ts";
import { UpstreamConnection } from "./upstream-connection.ts";

/** How long one node may take to check a login before the next is asked. */
const ANSWER_MS = 2_000;
/** A node that did not settle a login is asked after all others for so long. */
const LAST_CHOICE_MS = 10_000;

/** What the nodes say of a login. */
export type LoginAnswer =
  | { readonly verdict: "accepted" }
  /** The error line is Redis's own. */
  | { readonly verdict: "refused"; readonly reply: Buffer }
  /** Nobody could say; why, for each node that was asked, and whether one of them may be about to start. */
  | { readonly verdict: "unsettled"; readonly reasons: readonly string[]; readonly starting: boolean };

/** What a machine says on which no server listens, or one that goes this moment: as while it is restarted. */
const NOT_LISTENING = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE"]);

/** Has Redis check logins, over a connection that does nothing else: no session's commands ever run in its changing name. */
export class LoginCheck {
  readonly #dial: (address: Address) => Socket;
  readonly #connectTimeoutMs: number;
  #connection: UpstreamConnection | undefined;
  /** Until when a node is asked last, by its address. */
  readonly #lastChoices = new Map<string, number>();

  constructor(options: { readonly dial: (address: Address) => Socket; readonly connectTimeoutMs: number }) {
    this.#dial = options.dial;
    this.#connectTimeoutMs = options.connectTimeoutMs;
  }

  /** Whether a connection is open now. */
  get open(): boolean {
    return this.#connection !== undefined;
  }

  close(): void {
    this.#connection?.close();
  }

  /**
   * Sends AUTH to one node after the other, until one of them settles the matter.
   *
   * @param auth the arguments of AUTH
   * @param candidates the nodes that may be asked, the best first
   */
  async ask(auth: readonly Buffer[], candidates: readonly Address[]): Promise<LoginAnswer> {
    const reasons: string[] = [];
    let starting = false;
    const left = [...candidates];
    while (left.length > 0) {
      const kept = this.#connection;
      const stood = kept?.ready === true;
      const connection = kept ?? this.#connect(this.#best(left));
      const key = addressKey(connection.address);
      try {
        const reply = await ask(connection, ["AUTH", ...auth], Math.min(ANSWER_MS, this.#connectTimeoutMs));
        const line = reply.toString("latin1", 0, 200).trimEnd();
        const verdict = loginVerdict(line);
        if (verdict === "accepted") return { verdict };
        if (verdict === "refused") return { verdict, reply };
        throw new Error(`${key}: ${line}`);
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
        // A connection that stood since earlier logins may have ended long ago, which tells nothing of its node.
        const stale = stood && connection.closed;
        connection.close();
        if (stale) continue;
        starting ||= isNotListening(error);
        this.#lastChoices.set(key, performance.now() + LAST_CHOICE_MS);
        const index = left.findIndex((address) => addressKey(address) === key);
        if (index >= 0) left.splice(index, 1);
      }
    }
    return { verdict: "unsettled", reasons, starting };
  }

  /** The first that has not failed lately; where all have, the first. */
  #best(candidates: readonly Address[]): Address {
    const now = performance.now();
    return candidates.find((address) => (this.#lastChoices.get(addressKey(address)) ?? 0) <= now) ?? candidates[0]!;
  }

  #connect(address: Address): UpstreamConnection {
    const connection = new UpstreamConnection({
      address,
      dial: this.#dial,
      connectTimeoutMs: this.#connectTimeoutMs,
      onEnd: (ended) => {
        if (this.#connection === ended) this.#connection = undefined;
      },
    });
    this.#connection = connection;
    return connection;
  }
}

function isNotListening(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && NOT_LISTENING.has(String(cause.code));
}
