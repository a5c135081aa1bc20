import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Server } from "node:net";
import type { HostPort } from "../config.ts";
import { addressKey } from "../routing/topology.ts";
import type { ListeningSockets, Predecessor } from "./listening-sockets.ts";

/** What two processes of which one takes the other's place say to each other; JSON, as they may be of two versions. */
type Message =
  /** The successor asks for the socket that listens at an address. */
  | { readonly ask: HostPort }
  /** The predecessor's answer; the socket comes with it, where it has one. */
  | { readonly answer: HostPort }
  /** The successor takes clients. */
  | { readonly serves: true };

/** How to start the process that is to take this one's place. */
interface SuccessorCommand {
  readonly command: readonly [string, ...string[]];
  /** The whole environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A successor that takes no clients within this time hangs. */
const SUCCESSOR_MS = 30_000;

/** Tells a process that it takes another one's place. */
export const TAKE_OVER = "--take-over";

/** Environment variable of a successor: names of databases, as JSON. An argument would be unknown to a program of an older version. */
const REACHED = "REDIS_ACCESS_REACHED";

/**
 * Starts the process that a file names, a JSON object of `command` and `environment`, and hands over to it the sockets that it
 * asks for. Its output goes where this one's goes.
 *
 * @param reached databases that this process reaches: if the successor does not, it is none
 * @param limitMs within which it must take clients; then it is ended
 * @returns when it takes clients
 * @throws Error it could not be started, or ended before it took clients: this process goes on
 */
export async function startSuccessor(file: string, sockets: ListeningSockets, reached: readonly string[], limitMs = SUCCESSOR_MS): Promise<{ readonly pid: number }> {
  const { command: [program, ...args], environment } = readCommand(await readFile(file, "utf8"), file);
  const child = spawn(program, [...args, TAKE_OVER], { env: { ...environment, [REACHED]: JSON.stringify(reached) }, detached: true, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const serves = Promise.withResolvers<undefined>();
  child.on("error", serves.reject);
  child.on("exit", (code, signal) => {
    serves.reject(new Error(`the successor ended before it took clients: ${signal ?? `exit code ${code ?? "?"}`}`));
  });
  child.on("message", (message: Message) => {
    if ("serves" in message) serves.resolve(undefined);
    // What cannot be sent is for one that has ended.
    else if ("ask" in message) child.send({ answer: message.ask } satisfies Message, sockets.at(message.ask), {}, () => undefined);
  });
  const limit = setTimeout(() => {
    serves.reject(new Error(`the successor has taken no clients within ${limitMs} ms, and was ended`));
    child.kill("SIGKILL");
  }, limitMs);
  await serves.promise.finally(() => {
    clearTimeout(limit);
  });
  child.unref();
  return { pid: child.pid! };
}

function readCommand(text: string, file: string): SuccessorCommand {
  const { command, environment } = JSON.parse(text) as Partial<SuccessorCommand>;
  const isText = (value: unknown): boolean => typeof value === "string";
  if (!Array.isArray(command) || command.length === 0 || !command.every(isText) || typeof environment !== "object" || !Object.values(environment).every(isText)) {
    throw new Error(`${file} names no command with its environment`);
  }
  return { command, environment };
}

/** The process that has started this one by `startSuccessor`. */
export class PredecessorProcess implements Predecessor {
  readonly #waiting = new Map<string, { readonly take: (socket: Server) => void; readonly settle: (inherited: boolean) => void }>();

  /**
   * @returns undefined where it has ended already: this process begins like any other then, as nobody else serves
   * @throws Error no process has started this one so
   */
  static find(): PredecessorProcess | undefined {
    if (process.connected) return new PredecessorProcess();
    if (process.env[REACHED] === undefined) throw new Error(`${TAKE_OVER} is for a process that was started by the one whose place it takes`);
    return undefined;
  }

  private constructor() {
    process.on("message", (message: Message, socket: unknown) => {
      if (!("answer" in message)) return;
      const waiting = this.#waiting.get(addressKey(message.answer));
      this.#waiting.delete(addressKey(message.answer));
      const inherited = socket instanceof Server;
      // At once: the socket takes connections from now on.
      if (inherited) waiting?.take(socket);
      waiting?.settle(inherited);
    });
    process.on("disconnect", () => {
      for (const { settle } of this.#waiting.values()) settle(false);
    });
  }

  /** Names of the databases that it reaches. */
  get reached(): readonly string[] {
    return JSON.parse(process.env[REACHED] ?? "[]") as string[];
  }

  inherit(address: HostPort, take: (socket: Server) => void): Promise<boolean> {
    if (!process.connected) return Promise.resolve(false);
    return new Promise((settle) => {
      this.#waiting.set(addressKey(address), { take, settle });
      this.#send({ ask: address });
    });
  }

  /** Has it end: this process takes clients. */
  dismiss(): void {
    this.#send({ serves: true }, () => {
      if (process.connected) process.disconnect();
    });
  }

  #send(message: Message, sent: () => void = () => undefined): void {
    process.send?.(message, undefined, {}, sent);
  }
}
