import { retryDelay } from "../cluster/delivery.ts";
import type { UpstreamConnection } from "../cluster/upstream-connection.ts";
import type { UserConnections } from "../cluster/user-connections.ts";
import type { Request } from "../resp/request-parser.ts";
import { argumentSpells } from "../routing/keys.ts";
import { PUBSUB_SLOT, refusedWhileSubscribed } from "../routing/plan.ts";
import type { StandalonePlan } from "../routing/plan-standalone.ts";
import type { PerformerHost } from "./command-performer.ts";
import { Subscription } from "./subscription.ts";

const UNSUBSCRIBING = ["unsubscribe", "punsubscribe", "sunsubscribe"] as const;

/** What subscriptions ask of their session. */
type SubscriberHost = Pick<PerformerHost, "database" | "observer" | "hold" | "release" | "write" | "subscriptionAnswered" | "finish">;

/** The subscriptions of one session: their beginning, what its client may ask meanwhile, and who waits for them. */
export class Subscriber {
  readonly #host: SubscriberHost;
  #subscription: Subscription | undefined;
  /** Tells those who publish that they need not wait for the subscription any more. */
  #subscribed: (() => void) | undefined;
  /** Ends the attempt to begin. */
  #giveUp: (() => void) | undefined;

  constructor(host: SubscriberHost) {
    this.#host = host;
  }

  /** The subscription, where there is one. */
  get subscription(): Subscription | undefined {
    return this.#subscription;
  }

  /** Takes nothing from the subscription's connection, until `resume`. */
  pause(): void {
    // Nobody is to wait for a client that does not read.
    this.#subscribed?.();
    this.#subscription?.pause();
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#subscription?.resume();
  }

  /** Ends the subscription, if there is one or is about to be. */
  end(): void {
    this.#giveUp?.();
    this.#giveUp = undefined;
    this.#subscription?.close();
    this.#subscription = undefined;
  }

  /**
   * Begins a time with subscriptions, as soon as the node can be reached for it; until then no other request is taken.
   * @param budgetMs milliseconds that it is tried for
   * @param failed called where that did not help
   */
  begin(request: Request, users: UserConnections, budgetMs: number, failed: () => void): void {
    const { database, hold, release } = this.#host;
    const subscribed = (this.#subscribed = database.subscribing.begin());
    const deadline = performance.now() + budgetMs;
    let delays = 0;
    let ended = false;
    this.#giveUp = () => {
      ended = true;
      subscribed();
    };
    const attempt = (): void => {
      if (ended) return;
      const connection = users.lendForSlot(PUBSUB_SLOT);
      if (connection === undefined) later();
      else connection.onceDecided(() => { decided(connection); });
    };
    const decided = (connection: UpstreamConnection): void => {
      if (!ended && connection.ready) {
        this.#giveUp = undefined;
        this.#start(request, users, connection, subscribed);
        release();
        return;
      }
      users.giveBack(connection);
      later();
    };
    const later = (): void => {
      if (ended) return;
      if (users.refused === undefined && performance.now() < deadline) {
        database.refresh();
        setTimeout(attempt, retryDelay(delays++));
        return;
      }
      this.#giveUp = undefined;
      subscribed();
      failed();
      release();
    };
    hold();
    attempt();
  }

  /** Does what a subscribed client asks for. Redis itself would refuse most of it; a node would rather tell of a key that is not its own. */
  perform(request: Request, plan: StandalonePlan, subscription: Subscription): void {
    const { database, observer, hold, release } = this.#host;
    if (plan.kind === "answer" && plan.refused) {
      observer.refused(request);
      subscription.answer(request, plan.reply, true);
      return;
    }
    const refusal = database.mode === "cluster" ? refusedWhileSubscribed(request, database.table) : undefined;
    if (refusal !== undefined) {
      subscription.answer(request, refusal, false);
      return;
    }
    const mayBeTheLast = UNSUBSCRIBING.some((name) => argumentSpells(request, 0, name));
    if (!mayBeTheLast) {
      subscription.forward(request);
      return;
    }
    // Whether what comes behind it belongs to a subscribed client or to an ordinary one, only the answer tells.
    hold();
    subscription.forward(request, release);
  }

  /** Runs `then` behind the answers that Redis owes the subscribed client; until then no other request is taken. */
  behindAnswers(subscription: Subscription, then: () => void): void {
    const { hold, release } = this.#host;
    hold();
    subscription.onceAnswered(() => {
      then();
      release();
    });
  }

  /**
   * Runs `then` behind the subscriptions that any session of this database has under way, so that who subscribes first is heard
   * first, as by one server. They and what waits for them go to one node, and have its time limits.
   */
  behindOthers(then: () => void): void {
    const { database, hold, release } = this.#host;
    const done = database.subscribing.done();
    if (done === undefined) {
      then();
      return;
    }
    hold();
    void done.then(() => {
      then();
      release();
    });
  }

  #start(request: Request, users: UserConnections, connection: UpstreamConnection, subscribed: () => void): void {
    const { write, observer, subscriptionAnswered, finish } = this.#host;
    this.#subscription = new Subscription(connection, request, {
      write,
      onOver: () => {
        this.#subscription = undefined;
        users.giveBack(connection);
      },
      onLost: () => {
        subscribed();
        users.giveBack(connection);
        finish();
      },
      onDone: (exchange) => {
        subscribed();
        observer.exchangeDone(exchange);
        subscriptionAnswered();
      },
    });
  }
}
