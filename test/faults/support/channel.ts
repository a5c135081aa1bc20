import type { Redis } from "ioredis";
import { decodeReply, ReplyError } from "../../../proxy/resp/reply-decoder.ts";
import type { ReplyValue } from "../../../proxy/resp/reply-decoder.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import type { ProxyDoor } from "../../support/access-proxy.ts";

/** What a load's client speaks through: commands in, replies in the same order. An error reply rejects. */
export interface Channel {
  issue(command: readonly string[]): Promise<ReplyValue>;
  close(): void;
}

/**
 * A client library as applications use it. It never sends a command twice, so that what is found twice is the proxy's doing; with
 * `resends` it does as it comes: where its connection is closed, it connects again and sends what had no answer.
 */
export function libraryChannel(proxy: ProxyDoor, resends = false): Channel {
  const client: Redis = proxy.client("alice", resends ? {} : { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, enableAutoPipelining: false });
  return {
    issue: ([name, ...args]) => client.call(name!, ...args) as Promise<ReplyValue>,
    close: () => {
      client.disconnect();
    },
  };
}

const longestWaitMs = 60_000;

/** A bare connection that sends each command at once, whatever is owed to it already. It connects anew where it was closed. */
export function rawChannel(proxy: ProxyDoor): Channel {
  let connection: Promise<RawConnection> | undefined;
  let order: Promise<unknown> = Promise.resolve();
  return {
    async issue(command) {
      const opened = (connection ??= RawConnection.open(proxy));
      const reply = order.then(async () => {
        try {
          const value = decodeReply(await (await opened).replyBytes(longestWaitMs));
          if (value instanceof ReplyError) throw value;
          return value;
        } catch (error) {
          if (!(error instanceof ReplyError) && connection === opened) connection = undefined;
          throw error;
        }
      });
      order = reply.catch(() => undefined);
      (await opened).send(...command);
      return reply;
    },
    close: () => {
      void connection?.then((open) => {
        open.close();
      });
    },
  };
}
