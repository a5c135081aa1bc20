import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** What OpenSSL's verification says of certificates that people really come with (openssl-verification-options(1), error codes). */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "it has expired",
  CERT_NOT_YET_VALID: "it is not valid yet",
  INVALID_PURPOSE: "it is not for clients (its extended key usage lacks clientAuth)",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it has signed itself",
  SELF_SIGNED_CERT_IN_CHAIN: "the user authority has not signed it",
  UNABLE_TO_GET_ISSUER_CERT: "the user authority has not signed it",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the user authority has not signed it",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the user authority has not signed it",
  CERT_SIGNATURE_FAILURE: "the user authority has not signed it",
};

/** Why a client's certificate is not accepted; the text is for the client as well as for the log. */
export class ClientCertificateError extends Error {
  readonly code = "CLIENT_CERTIFICATE_REFUSED";

  constructor(reason: string) {
    super(reason);
    this.name = "ClientCertificateError";
  }
}

/**
 * The certificate by which a client of a listener has proved who it is. The one place where that is decided: the listener's
 * TLS lets every client finish its handshake, because it would turn others away without a word to them or to the log.
 *
 * @param socket of a server that requests certificates and knows the user authority only
 * @throws ClientCertificateError where there is none, or none that the user authority vouches for now
 */
export function provenCertificate(socket: Pick<TLSSocket, "authorized" | "authorizationError" | "getPeerX509Certificate">): X509Certificate {
  // Both are asked for: a resumed session of a client without a certificate counts as authorized.
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new ClientCertificateError("a client certificate is required, and there is none");
  if (!socket.authorized) {
    // A code, whatever the type says.
    const code = String(socket.authorizationError);
    throw new ClientCertificateError(`the client certificate is not accepted: ${REASONS[code] ?? code}`);
  }
  return certificate;
}
