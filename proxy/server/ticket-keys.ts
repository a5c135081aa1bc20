import { createHash, hkdfSync, randomBytes } from "node:crypto";
import type { ListenerTls } from "./listener.ts";

/** How long tickets are sealed with the keys of one secret, in milliseconds. A client with an older one makes a whole handshake. */
export const TICKET_SECRET_MS = 3_600_000;
/** What OpenSSL wants: a name, an HMAC key and an AES key of 16 bytes each (Node's `tls`, "server.setTicketKeys"). */
const KEYS_BYTES = 48;

/** Makes a secret that ticket keys are derived from; it is in memory only. */
export function makeTicketSecret(): Buffer {
  return randomBytes(32);
}

/**
 * The keys that seal TLS sessions (RFC 5077; RFC 8446, section 4.6.1). All processes that share the secret can take up each
 * other's sessions. A session is proof that its client's certificate was verified once: with another user authority, or another
 * certificate of the proxy's own, the keys are others, and what was sealed before opens nothing.
 */
export function ticketKeys(secret: Buffer, { cert, clientCa }: ListenerTls): Buffer {
  const trust = createHash("sha256").update(JSON.stringify([cert, clientCa])).digest();
  return Buffer.from(hkdfSync("sha256", secret, trust, "redis-access TLS session tickets", KEYS_BYTES));
}
