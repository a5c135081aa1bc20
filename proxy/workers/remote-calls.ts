import type { Socket } from "node:net";
import { ConfigError } from "../config.ts";

/** What one side may be asked by the other, by name. */
export type CallTypes = Readonly<Record<string, { readonly argument: unknown; readonly result: unknown }>>;

/** How a side answers what it may be asked. */
export type CallHandlers<Calls extends CallTypes> = {
  readonly [Name in keyof Calls]: (argument: Calls[Name]["argument"], socket?: Socket) => Calls[Name]["result"] | Promise<Calls[Name]["result"]>;
};

/** Sends a message to the other process, with a socket for it perhaps. */
export type SendMessage = (message: unknown, socket?: Socket) => void;

/** Structured-clone values only: both ends of the channel are this same program. */
type Message =
  | { readonly call: number; readonly name: string; readonly argument: unknown }
  | { readonly tell: string; readonly argument: unknown }
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly error: { readonly message: string; readonly problems: readonly string[] | undefined } };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Calls between two processes of this program, each answered in its own time. */
export class RemoteCalls<Out extends CallTypes, In extends CallTypes> {
  readonly #send: SendMessage;
  readonly #handlers: CallHandlers<In>;
  readonly #waiting = new Map<number, Waiting>();
  #lastCall = 0;
  #closed: Error | undefined;

  /**
   * @param send must not throw
   * @param handlers of what the other side may ask here
   */
  constructor(send: SendMessage, handlers: CallHandlers<In>) {
    this.#send = send;
    this.#handlers = handlers;
  }

  /** Asks the other side, and waits for the answer, however long that takes. Rejects with the other side's error, or when the channel is closed. */
  call<Name extends keyof Out & string>(name: Name, argument: Out[Name]["argument"]): Promise<Out[Name]["result"]> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      const call = ++this.#lastCall;
      this.#waiting.set(call, { resolve, reject });
      this.#send({ call, name, argument } satisfies Message);
    });
  }

  /** Tells the other side something that needs no answer. */
  tell<Name extends keyof Out & string>(name: Name, argument: Out[Name]["argument"], socket?: Socket): void {
    if (this.#closed === undefined) this.#send({ tell: name, argument } satisfies Message, socket);
  }

  /** Takes a message that the other side has sent. */
  receive(received: unknown, socket?: Socket): void {
    const message = received as Message;
    if ("answer" in message) {
      const waiting = this.#waiting.get(message.answer);
      this.#waiting.delete(message.answer);
      if ("error" in message) waiting?.reject(message.error.problems === undefined ? new Error(message.error.message) : new ConfigError(message.error.problems));
      else waiting?.resolve(message.value);
    } else if ("tell" in message) {
      void this.#handlers[message.tell]!(message.argument, socket);
    } else {
      void this.#answer(message.call, message.name, message.argument);
    }
  }

  /** The channel is gone: all that wait for an answer are told so. */
  close(reason: Error): void {
    this.#closed ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#closed);
    this.#waiting.clear();
  }

  async #answer(call: number, name: string, argument: unknown): Promise<void> {
    let answer: Message;
    try {
      answer = { answer: call, value: await this.#handlers[name]!(argument) };
    } catch (error) {
      answer = { answer: call, error: { message: error instanceof Error ? error.message : String(error), problems: error instanceof ConfigError ? error.problems : undefined } };
    }
    this.#send(answer);
  }
}
