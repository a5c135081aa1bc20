import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { leafUses } from "../../../components/certificate-profile.ts";
import type { AuthorityKind } from "../../../components/certificate-profile.ts";
import { issueCertificate, parseIssuer, publicKeyDer } from "../../bridge/tls/certificates.ts";
import { subjectName } from "../../bridge/tls/names.ts";
import { generateKey, parseKey } from "../../bridge/tls/private-keys.ts";
import type { NodeOutput } from "./outputs.ts";

/** A certificate with its private key, as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** What a server let a client do. */
export interface Handshake {
  /** The certificate that it served. */
  readonly served: X509Certificate;
  /** Whether it took the client's certificate: it then answers a command, if only that a login is needed. */
  readonly accepted: boolean;
}

const limitMs = 5000;

/**
 * Makes a TLS handshake with a client's certificate and asks one command. The server's certificate is not verified: it is what
 * is to be looked at.
 * @throws {Error} nobody listens there, or it has no TLS
 */
export function shakeHands({ host, port }: NodeOutput, client: KeyPair): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    let served: X509Certificate | undefined;
    const socket = connect({ host, port, ...client, rejectUnauthorized: false, timeout: limitMs, ...(isIP(host) === 0 && { servername: host }) });
    const end = (accepted: boolean, problem: string): void => {
      socket.destroy();
      if (served === undefined) reject(new Error(`${host}:${port}: ${problem}`));
      else resolve({ served, accepted });
    };
    socket.once("secureConnect", () => {
      served = socket.getPeerX509Certificate();
      socket.write("PING\r\n");
    });
    // TLS 1.3 refuses a client's certificate only after the handshake, with an alert in place of an answer.
    socket.once("data", () => {
      end(true, "");
    });
    socket.once("timeout", () => {
      end(false, `no answer within ${limitMs} ms`);
    });
    socket.once("error", (error: Error) => {
      end(false, error.message);
    });
    socket.once("close", () => {
      end(false, "the connection was closed");
    });
  });
}

/** A leaf of an authority, as its kind has them, for a probe; it is valid for an hour and never written down. */
export async function probeLeaf(kind: AuthorityKind, authority: KeyPair): Promise<KeyPair> {
  const key = generateKey("ECDSA", 0, "P256");
  const { pem } = await issueCertificate(
    {
      subject: subjectName({ commonName: "rotation probe" }),
      alternativeNames: [],
      publicKey: publicKeyDer(key),
      allowedUses: leafUses(kind),
      isCa: false,
      maxPathLength: -1,
      setSubjectKeyId: false,
      // Clocks of this machine and a node's may differ.
      notBefore: new Date(Date.now() - 60_000),
      validityHours: 1,
    },
    { ...parseIssuer(authority.cert), key: parseKey(authority.key, "authority") },
  );
  return { cert: pem, key: key.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** Whether a certificate was signed by this authority: by its signature, not by its name. */
export function isSignedBy(certificate: X509Certificate, authorityPem: string): boolean {
  const authority = new X509Certificate(authorityPem);
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}
