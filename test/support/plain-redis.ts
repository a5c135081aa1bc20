import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.ts";
import { findFreePorts } from "./free-ports.ts";
import { waitFor, within } from "./wait-for.ts";

const startLimitMs = 10_000;
const answerLimitMs = 20_000;

/** A real redis-server without TLS, for what Redis itself makes of bytes. */
export class PlainRedis {
  readonly port: number;
  readonly child: Child;
  readonly #directory: string;

  private constructor(port: number, child: Child, directory: string) {
    this.port = port;
    this.child = child;
    this.#directory = directory;
  }

  /** Starts a server on a loopback port. `stop` must be called in the end. */
  static async start(...args: string[]): Promise<PlainRedis> {
    const directory = mkdtempSync(join(tmpdir(), "redis-access-plain-"));
    const [port] = await findFreePorts(1);
    const all = ["--port", String(port!), "--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "local", ...args];
    const child = new Child({ command: "redis-server", args: all, directory, logFile: join(directory, "log") });
    const redis = new PlainRedis(port!, child, directory);
    try {
      await waitFor("the server answers", startLimitMs, async () => /^[+-]/.test((await redis.exchange(Buffer.from("PING\r\n"))).toString("latin1")));
    } catch (error) {
      const { log } = child;
      await redis.stop();
      throw new Error(`redis-server: ${log}`, { cause: error });
    }
    return redis;
  }

  /** A new connection. */
  async connect(): Promise<Socket> {
    const socket = connect({ host: "127.0.0.1", port: this.port, allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    return socket;
  }

  /** All that Redis answers to these bytes (16 KB at most, so that it has read them before it sees their end) on a connection of their own. */
  async exchange(bytes: Buffer): Promise<Buffer> {
    const socket = await this.connect();
    const answers: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => answers.push(chunk));
    socket.end(bytes);
    try {
      await within("Redis's end of the connection", answerLimitMs, once(socket, "end"));
    } finally {
      socket.destroy();
    }
    return Buffer.concat(answers);
  }

  async stop(): Promise<void> {
    await this.child.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
