import "reflect-metadata";
import { createPrivateKey, randomBytes, webcrypto, X509Certificate as NodeCertificate } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const HOUR_MS = 3_600_000;
/** Clocks of proxy and nodes may differ by so much. */
const BACKDATE_MS = 300_000;
const SIGNATURE_HASH = "SHA-256";

cryptoProvider.set(webcrypto);

/** A db_client authority that must not sign: `DB_CLIENT_CA_INVALID`. The message says why. */
export class DbClientAuthorityError extends Error {
  readonly code = "DB_CLIENT_CA_INVALID";

  constructor(message: string) {
    super(message);
    this.name = "DbClientAuthorityError";
  }
}

/** A client certificate with its key, as PEM. */
export interface ClientCertificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly notAfter: Date;
}

/** How the certificates are made. */
export interface EphemeralOptions {
  /** Names the proxy, for the nodes' logs. */
  readonly commonName: string;
  /** Milliseconds that a certificate is valid. @default 3600000 */
  readonly lifetimeMs?: number;
  /** @default Date.now */
  readonly now?: () => number;
}

/**
 * The certificate that the proxy shows to Redis: made in memory with a key of its own, good for client authentication and
 * nothing else, and made anew when two thirds of its life are over. A node trusts the db_client authority for its peers as
 * well; only the extended key usage keeps such a certificate from being taken for a node's.
 */
export class EphemeralCertificate {
  readonly #authority: X509Certificate;
  readonly #keyPem: string;
  readonly #options: Required<EphemeralOptions>;
  #current: Promise<ClientCertificate> | undefined;
  #renewAt = 0;

  /**
   * @param caCertPem the db_client authority; its certificate must carry the extended key usage client_auth itself
   * @param caKeyPem its private key, ECDSA or RSA
   * @throws DbClientAuthorityError where certificate and key do not belong together, or the authority is not for clients only
   */
  constructor(caCertPem: string, caKeyPem: string, options: EphemeralOptions) {
    checkAuthority(caCertPem, caKeyPem);
    this.#authority = new X509Certificate(caCertPem);
    this.#keyPem = caKeyPem;
    this.#options = { lifetimeMs: HOUR_MS, now: Date.now, ...options };
  }

  /** The certificate to show now; made anew where it is due. Where making one fails, the next call tries again. */
  async current(): Promise<ClientCertificate> {
    const now = this.#options.now();
    if (this.#current === undefined || now >= this.#renewAt) {
      const made = this.#mint(now);
      const before = this.#current;
      this.#current = made;
      this.#renewAt = now + (2 / 3) * this.#options.lifetimeMs;
      made.catch(() => {
        this.#current = before;
        this.#renewAt = 0;
      });
    }
    return this.#current;
  }

  async #mint(now: number): Promise<ClientCertificate> {
    const { commonName, lifetimeMs } = this.#options;
    const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const notAfter = new Date(Math.min(now + lifetimeMs, this.#authority.notAfter.getTime()));
    const algorithm = signingAlgorithm(this.#keyPem);
    const serial = randomBytes(16);
    serial[0]! &= 0x7f;
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serial.toString("hex"),
      subject: [{ CN: [commonName] }],
      issuer: this.#authority.subject,
      notBefore: new Date(now - BACKDATE_MS),
      notAfter,
      publicKey: keys.publicKey,
      signingKey: await importSigningKey(this.#keyPem, algorithm),
      signingAlgorithm: algorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth], true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
        await AuthorityKeyIdentifierExtension.create(this.#authority.publicKey),
      ],
    });
    const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
    const keyPem = `-----BEGIN PRIVATE KEY-----\n${key.toString("base64").replace(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`;
    return { certPem: certificate.toString("pem"), keyPem, notAfter };
  }
}

function checkAuthority(certPem: string, keyPem: string): void {
  const certificate = new NodeCertificate(certPem);
  if (!certificate.ca) throw new DbClientAuthorityError("the db_client certificate is no authority's: basic constraint CA is missing");
  // Node's `keyUsage` is the extended key usage, and is not there where the certificate has none.
  const uses = certificate.keyUsage as string[] | undefined;
  if (uses?.length !== 1 || uses[0] !== "1.3.6.1.5.5.7.3.2") {
    throw new DbClientAuthorityError(
      "the db_client authority must carry the extended key usage client_auth, and no other: without it a node would take the proxy's certificates for a peer's",
    );
  }
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) {
    throw new DbClientAuthorityError("the db_client authority's private key does not belong to its certificate");
  }
}

type SigningAlgorithm =
  | (webcrypto.EcKeyImportParams & webcrypto.EcdsaParams & { readonly hash: string })
  | (webcrypto.RsaHashedImportParams & { readonly hash: string });

/** ECDSA on the key's own curve, or RSA with PKCS #1 v1.5; both with SHA-256. */
function signingAlgorithm(keyPem: string): SigningAlgorithm {
  const key = createPrivateKey(keyPem);
  if (key.asymmetricKeyType === "rsa") return { name: "RSASSA-PKCS1-v1_5", hash: SIGNATURE_HASH };
  const curves: Record<string, string> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
  const namedCurve = curves[key.asymmetricKeyDetails?.namedCurve ?? ""];
  if (key.asymmetricKeyType !== "ec" || namedCurve === undefined) {
    throw new DbClientAuthorityError(`the db_client authority's key is of type ${key.asymmetricKeyType ?? "unknown"}; ECDSA (P-256, P-384, P-521) or RSA is needed`);
  }
  return { name: "ECDSA", namedCurve, hash: SIGNATURE_HASH };
}

async function importSigningKey(keyPem: string, algorithm: SigningAlgorithm): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(keyPem).export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
}
