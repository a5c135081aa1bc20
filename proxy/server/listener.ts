import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import type { SecureContextOptions, Server, TLSSocket } from "node:tls";
import type { HostPort } from "../config.ts";
import { provenCertificate } from "../access/client-certificate.ts";
import { identityOf } from "../access/identity.ts";
import type { Identity } from "../access/identity.ts";
import { encodeError } from "../resp/encoder.ts";
import { closeGently } from "./close-gently.ts";

/** The proxy's own side of TLS, as PEM. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  /** The authority of users' certificates. */
  readonly clientCa: string;
}

/** A client that is turned away has so long to read why. */
const LAST_WORD_MS = 1_000;

/** What clients may use of a listener. The handshake's time is set once and for all. */
export interface ListenerLimits {
  readonly tlsHandshakeTimeoutMs: number;
  readonly maxConnections: number;
}

/** What happens at a listener. */
export interface ListenerEvents {
  /** A client that has proved who it is. */
  readonly onClient: (socket: TLSSocket, identity: Identity) => void;
  /** A client that could not, or one too many; `reason` is for the log. */
  readonly onRefused: (remote: string, reason: string) => void;
}

/** One address at which clients of one database arrive: mutual TLS, TLS 1.2 or 1.3, a certificate of the user authority. */
export class Listener {
  readonly #server: Server;
  readonly #listen: HostPort;
  #limits: ListenerLimits;

  constructor(
    listen: HostPort,
    tls: ListenerTls,
    limits: ListenerLimits,
    connectionCount: () => number,
    events: ListenerEvents,
  ) {
    this.#listen = listen;
    this.#limits = limits;
    this.#server = createServer({
      ...contextOf(tls),
      requestCert: true,
      // Decided by `provenCertificate`, for every client, before anything else.
      rejectUnauthorized: false,
      handshakeTimeout: limits.tlsHandshakeTimeoutMs,
      allowHalfOpen: true,
    });
    this.#server.on("secureConnection", (socket) => {
      socket.on("error", () => socket.destroy());
      let identity;
      try {
        identity = identityOf(provenCertificate(socket));
      } catch (error) {
        turnAway(socket, `DENIED ${messageOf(error)}`);
        events.onRefused(remoteOf(socket), messageOf(error));
        return;
      }
      if (connectionCount() >= this.#limits.maxConnections) {
        turnAway(socket, "ERR max number of clients reached");
        events.onRefused(remoteOf(socket), `there are ${this.#limits.maxConnections} connections already`);
        return;
      }
      events.onClient(socket, identity);
    });
    this.#server.on("tlsClientError", (error, socket) => {
      events.onRefused(remoteOf(socket), messageOf(error));
    });
  }

  /**
   * Begins to listen.
   *
   * @throws Error with the address in its message, where that cannot be taken
   */
  async start(): Promise<void> {
    const { host, port } = this.#listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) => {
        reject(new Error(`cannot listen on ${host}:${port}: ${error.code === "EADDRINUSE" ? "the port is in use" : error.message}`));
      });
      this.#server.listen({ host, port, backlog: 4_096 }, resolve);
    });
  }

  /** Has clients that come from now on meet another certificate and other limits; they must be usable. */
  take(tls: ListenerTls, limits: ListenerLimits): void {
    this.#server.setSecureContext(contextOf(tls));
    this.#limits = limits;
  }

  /** Where it listens; of use where the port was given as 0. */
  get address(): HostPort {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Takes no more clients; those that are there stay. */
  stop(): void {
    this.#server.close();
  }
}

function contextOf({ cert, key, clientCa }: ListenerTls): SecureContextOptions {
  return { cert, key, ca: clientCa, minVersion: "TLSv1.2" };
}

/** Says why, in an error that any client shows as the reply to its first command, and ends the connection, whatever the client does. */
function turnAway(socket: TLSSocket, error: string): void {
  socket.write(encodeError(error));
  closeGently(socket, LAST_WORD_MS);
}

function remoteOf(socket: TLSSocket): string {
  return `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
