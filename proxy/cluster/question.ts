import { encodeCommand } from "../resp/encoder.ts";
import { decodeReply } from "../resp/reply-decoder.ts";
import type { ReplyValue } from "../resp/reply-decoder.ts";
import type { Redirection } from "../routing/redirection.ts";
import { Exchange } from "./exchange.ts";
import type { ReplyTarget } from "./exchange.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";
import { UpstreamError } from "./upstream-error.ts";

/**
 * Asks a node one thing on the proxy's own behalf, and waits for the whole reply. Redirections are answers like others.
 *
 * @throws UpstreamError where the connection ends first, or nothing comes within `timeoutMs`
 */
export async function ask(connection: UpstreamConnection, command: readonly (Buffer | string)[], timeoutMs: number): Promise<Buffer> {
  const bytes = encodeCommand(command);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new UpstreamError("UPSTREAM_LOST", `${connection.address.host}:${connection.address.port}: no reply within ${timeoutMs} ms`));
    }, timeoutMs);
    const parts: Buffer[] = [];
    const target: ReplyTarget = {
      deliver(exchange, chunk, start, end) {
        parts.push(chunk.subarray(start, end));
        if (!exchange.done) return;
        clearTimeout(timer);
        resolve(Buffer.concat(parts));
      },
      redirected(_exchange: Exchange, _redirection: Redirection, error: Buffer) {
        clearTimeout(timer);
        resolve(error);
        return undefined;
      },
      lost(_exchange, _sent, reason) {
        clearTimeout(timer);
        reject(reason);
      },
    };
    connection.send(new Exchange(target, bytes, 0, bytes.length, 1, performance.now()));
  });
}

/** As `ask`, with the reply read. An error reply is a value of type ReplyError. */
export async function askValue(connection: UpstreamConnection, command: readonly string[], timeoutMs: number): Promise<ReplyValue> {
  return decodeReply(await ask(connection, command, timeoutMs));
}
