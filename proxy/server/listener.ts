import type { Socket } from "node:net";
import { createServer } from "node:tls";
import type { SecureContextOptions, Server, TLSSocket } from "node:tls";
import type { HostPort } from "../config.ts";
import { provenCertificate } from "../access/client-certificate.ts";
import { identityOf } from "../access/identity.ts";
import type { Identity } from "../access/identity.ts";
import { encodeError } from "../resp/encoder.ts";
import { closeGently } from "./close-gently.ts";
import type { ListeningSockets } from "./listening-sockets.ts";
import { ticketKeys } from "./ticket-keys.ts";

/** The proxy's own side of TLS, as PEM. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  /** The authority of users' certificates. */
  readonly clientCa: string;
}

/** A client that is turned away has so long to read why. */
const LAST_WORD_MS = 1_000;

/** Sessions are taken up again wherever the proxy listens: who a client is does not depend on where it comes. */
const SESSION_CONTEXT = "redis-access";

/** What happens at a listener. */
export interface ListenerEvents {
  /** A client that has proved who it is. */
  readonly onClient: (socket: TLSSocket, identity: Identity) => void;
  /** A client that could not; `reason` is for the log. */
  readonly onRefused: (remote: string, reason: string) => void;
}

/** What a listener is made of. */
export interface ListenerOptions {
  readonly tls: ListenerTls;
  /** Set once and for all. */
  readonly tlsHandshakeTimeoutMs: number;
  /** What the keys of TLS sessions are derived from. */
  readonly ticketSecret: Buffer;
  readonly events: ListenerEvents;
}

/**
 * Where clients of one database arrive: mutual TLS, TLS 1.2 or 1.3, a certificate of the user authority. They come to an address
 * of its own, or are handed to it by the process that has the address.
 */
export class Listener {
  readonly #server: Server;
  #arriving = 0;
  #tls: ListenerTls;
  #ticketSecret: Buffer;

  constructor({ tls, tlsHandshakeTimeoutMs, ticketSecret, events }: ListenerOptions) {
    this.#tls = tls;
    this.#ticketSecret = ticketSecret;
    this.#server = createServer({
      ...contextOf(tls, ticketSecret),
      requestCert: true,
      // Decided by `provenCertificate`, for every client, before anything else.
      rejectUnauthorized: false,
      handshakeTimeout: tlsHandshakeTimeoutMs,
      allowHalfOpen: true,
    });
    this.#server.on("connection", () => {
      this.#arriving++;
    });
    // Each connection comes to one of these two.
    this.#server.on("secureConnection", (socket) => {
      this.#arriving--;
      socket.on("error", () => socket.destroy());
      let identity;
      try {
        identity = identityOf(provenCertificate(socket));
      } catch (error) {
        turnAway(socket, `DENIED ${messageOf(error)}`);
        events.onRefused(remoteOf(socket), messageOf(error));
        return;
      }
      events.onClient(socket, identity);
    });
    this.#server.on("tlsClientError", (error, socket) => {
      this.#arriving--;
      events.onRefused(remoteOf(socket), messageOf(error));
    });
  }

  /** Clients in their TLS handshake. */
  get arriving(): number {
    return this.#arriving;
  }

  /**
   * Begins to listen.
   *
   * @throws Error with the address in its message, where that cannot be taken
   */
  listen(address: HostPort, sockets: ListeningSockets): Promise<void> {
    return sockets.listen(this.#server, address);
  }

  /** Takes a client whose connection another process has accepted. */
  receive(socket: Socket): void {
    // As of those that the server accepts itself: a client that ends its side has its answers first.
    socket.allowHalfOpen = true;
    this.#server.emit("connection", socket);
  }

  /** Has clients that come from now on meet another certificate; it must be usable. */
  take(tls: ListenerTls): void {
    this.#tls = tls;
    this.#server.setSecureContext(contextOf(tls, this.#ticketSecret));
  }

  /** Has TLS sessions sealed by another secret from now on. */
  useTicketSecret(secret: Buffer): void {
    this.#ticketSecret = secret;
    this.#server.setTicketKeys(ticketKeys(secret, this.#tls));
  }

  /** Takes no more clients; those that are there stay. */
  stop(): void {
    if (this.#server.listening) this.#server.close();
  }
}

function contextOf(tls: ListenerTls, ticketSecret: Buffer): SecureContextOptions & { ticketKeys: Buffer; sessionIdContext: string } {
  const { cert, key, clientCa } = tls;
  return { cert, key, ca: clientCa, minVersion: "TLSv1.2", ticketKeys: ticketKeys(ticketSecret, tls), sessionIdContext: SESSION_CONTEXT };
}

/** Says why, in an error that any client shows as the reply to its first command, and ends the connection, whatever the client does. */
export function turnAway(socket: TLSSocket, error: string): void {
  socket.write(encodeError(error));
  closeGently(socket, LAST_WORD_MS);
}

/** A client's address, for the log and the audit. */
export function remoteOf(socket: TLSSocket): string {
  return `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
