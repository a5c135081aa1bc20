import { connect as connectPlain, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls, createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";
import type { EphemeralCertificate } from "../access/db-client-certificate.ts";
import type { Address } from "../routing/topology.ts";

/** How often the age of the ephemeral certificate is looked at, in milliseconds. */
const RENEWAL_CHECK_MS = 30_000;

/**
 * Dials the nodes of one database: mutual TLS with the proxy's ephemeral certificate, the node verified by `ca` and by the
 * address it is reached at. A renewed certificate is shown from the next connection on.
 */
export class UpstreamTls {
  readonly #certificate: EphemeralCertificate;
  readonly #ca: string;
  readonly #onError: (error: unknown) => void;
  #context: SecureContext | undefined;
  #shown = "";
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param ca PEM of the authorities that a node's certificate may come from
   * @param onError called where a renewal fails; the certificate before it goes on being shown
   */
  constructor(certificate: EphemeralCertificate, ca: string, onError: (error: unknown) => void) {
    this.#certificate = certificate;
    this.#ca = ca;
    this.#onError = onError;
  }

  /** Makes the first certificate; throws what the minting throws. */
  async start(): Promise<void> {
    await this.#renew();
    this.#timer = setInterval(() => {
      this.#renew().catch(this.#onError);
    }, RENEWAL_CHECK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Begins a connection. To be called after `start`. */
  dial(address: Address): Socket {
    return connectTls({
      host: address.host,
      port: address.port,
      ...(isIP(address.host) === 0 && { servername: address.host }),
      secureContext: this.#context!,
      rejectUnauthorized: true,
    });
  }

  async #renew(): Promise<void> {
    const { certPem, keyPem } = await this.#certificate.current();
    if (certPem === this.#shown) return;
    this.#context = createSecureContext({ ca: this.#ca, cert: certPem, key: keyPem, minVersion: "TLSv1.2" });
    this.#shown = certPem;
  }
}

/** Begins a connection without TLS: only for a database whose URI says `redis://`. */
export function dialPlain(address: Address): Socket {
  return connectPlain({ host: address.host, port: address.port });
}
