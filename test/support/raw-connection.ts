import { once } from "node:events";
import type { Socket } from "node:net";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { ReplyScanner } from "../../proxy/resp/reply-scanner.ts";
import type { ProxyDoor } from "./access-proxy.ts";
import type { TestCertificate } from "./certificate.ts";
import { within } from "./wait-for.ts";

const replyLimitMs = 20_000;

/** A client of the proxy that sends bytes as they are given and gets replies as they came: for what no client library shows. */
export class RawConnection {
  readonly socket: Socket;
  readonly #scanner = new ReplyScanner();
  /** Of the reply that is not whole yet. */
  #pieces: Buffer[] = [];
  #replies: Buffer[] = [];
  #closed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#take(chunk);
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** Connects, to another port than the proxy's first if one is given, and logs in as `user`. */
  static async open(proxy: ProxyDoor, user = "alice", certificate?: TestCertificate, port?: number): Promise<RawConnection> {
    const connection = await RawConnection.anonymous(proxy, certificate, port);
    const reply = await connection.ask("AUTH", user, proxy.target.passwords[user]!);
    if (reply !== "+OK\r\n") throw new Error(`AUTH as ${user}: ${reply}`);
    return connection;
  }

  /** Takes a socket as it is. */
  static over(socket: Socket): RawConnection {
    return new RawConnection(socket);
  }

  /** Connects without logging in. */
  static async anonymous(proxy: ProxyDoor, certificate?: TestCertificate, port?: number): Promise<RawConnection> {
    const socket = proxy.socket(certificate, port);
    await within("the TLS handshake", replyLimitMs, once(socket, "secureConnect"));
    return new RawConnection(socket);
  }

  /** Sends a command as a RESP array. */
  send(...command: (string | Buffer)[]): void {
    this.socket.write(encodeCommand(command));
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** Sends a command; its reply, one character a byte. For one that has no other on its way. */
  async ask(...command: (string | Buffer)[]): Promise<string> {
    this.send(...command);
    return this.reply();
  }

  /** The next whole reply, one character a byte. */
  async reply(limitMs = replyLimitMs): Promise<string> {
    return (await this.replyBytes(limitMs)).toString("latin1");
  }

  /** The next `count` replies. */
  async replies(count: number): Promise<string[]> {
    const replies: string[] = [];
    while (replies.length < count) replies.push(await this.reply());
    return replies;
  }

  /**
   * The next whole reply.
   * @throws Error where the connection is closed first, or nothing whole comes within `limitMs`
   */
  async replyBytes(limitMs = replyLimitMs): Promise<Buffer> {
    await within("a whole reply", limitMs, this.#until(() => this.#replies.length > 0));
    const reply = this.#replies.shift();
    if (reply === undefined) throw new Error(`the connection was closed; unread: ${JSON.stringify(Buffer.concat(this.#pieces).toString("latin1", 0, 200))}`);
    return reply;
  }

  /** Resolves when the proxy has closed the connection; what came before can still be read. */
  async closed(limitMs = replyLimitMs): Promise<void> {
    await within("the end of the connection", limitMs, this.#until(() => this.#closed));
  }

  /** Replies that came and were not asked for yet. */
  get waiting(): number {
    return this.#replies.length;
  }

  close(): void {
    this.socket.destroy();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(chunk: Buffer): void {
    let start = 0;
    while (start < chunk.length) {
      const end = this.#scanner.scan(chunk, start, chunk.length);
      this.#pieces.push(chunk.subarray(start, end < 0 ? chunk.length : end));
      if (end < 0) break;
      this.#replies.push(this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces));
      this.#pieces = [];
      start = end;
    }
    this.#wake();
  }
}
