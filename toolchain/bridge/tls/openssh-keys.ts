/**
 * OpenSSH's forms of keys: the public key blob of RFC 4253 section 6.6 and RFC 5656 section 3.1, and the private key
 * file of OpenSSH's PROTOCOL.key, unencrypted.
 */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject, randomBytes } from "node:crypto";

/** OpenSSH's names of curves; P-224 has none, so its keys have no OpenSSH form. */
const CURVES: Readonly<Record<string, string>> = { prime256v1: "nistp256", secp384r1: "nistp384", secp521r1: "nistp521" };

/** The block size that an unencrypted private section is padded to, in bytes. */
const PADDING_BLOCK = 8;

interface OpensshPublicKey {
  readonly type: string;
  readonly blob: Buffer;
}

/** A public key in OpenSSH's form, or undefined when it has none. */
export function opensshPublicKey(publicKey: KeyObject): OpensshPublicKey | undefined {
  const fields = publicFields(publicKey);
  if (fields === undefined) return undefined;
  return { type: fields[0]!.toString(), blob: Buffer.concat(fields.map(asString)) };
}

/** A private key as an OpenSSH file, or the empty text when it has no such form. */
export function opensshPrivateKey(key: KeyObject): string {
  const fields = publicFields(createPublicKey(key));
  if (fields === undefined) return "";
  const check = randomBytes(4);
  const comment = Buffer.alloc(0);
  const secretPart = Buffer.concat([check, check, ...[...privateFields(key, fields), comment].map(asString)]);
  const padding = Buffer.from(Array.from({ length: (PADDING_BLOCK - (secretPart.length % PADDING_BLOCK)) % PADDING_BLOCK }, (_, index) => index + 1));
  const none = asString(Buffer.from("none"));
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    none, // cipher
    none, // key derivation
    asString(Buffer.alloc(0)), // its options
    uint32(1), // number of keys
    asString(Buffer.concat(fields.map(asString))),
    asString(Buffer.concat([secretPart, padding])),
  ]);
  const lines = file.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
}

/** The fingerprints of a public key blob, as `ssh-keygen -l` shows them; empty texts without a blob. */
export function fingerprints(blob: Buffer | undefined): { publicKeyFingerprintMd5: string; publicKeyFingerprintSha256: string } {
  if (blob === undefined) return { publicKeyFingerprintMd5: "", publicKeyFingerprintSha256: "" };
  const md5 = createHash("md5").update(blob).digest("hex").match(/../g) ?? [];
  const sha256 = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
  return { publicKeyFingerprintMd5: md5.join(":"), publicKeyFingerprintSha256: `SHA256:${sha256}` };
}

function publicFields(publicKey: KeyObject): Buffer[] | undefined {
  const curve = CURVES[publicKey.asymmetricKeyDetails?.namedCurve ?? ""];
  // Node has no JWK form of a P-224 key either.
  if (publicKey.asymmetricKeyType === "ec" && curve === undefined) return undefined;
  const jwk = publicKey.export({ format: "jwk" });
  switch (jwk.kty) {
    case "RSA":
      return [Buffer.from("ssh-rsa"), integer(jwk.e), integer(jwk.n)];
    case "OKP":
      return [Buffer.from("ssh-ed25519"), bytes(jwk.x)];
    case "EC":
      return [Buffer.from(`ecdsa-sha2-${curve!}`), Buffer.from(curve!), Buffer.concat([Buffer.from([4]), bytes(jwk.x), bytes(jwk.y)])];
    default:
      return undefined;
  }
}

function privateFields(key: KeyObject, fields: readonly Buffer[]): Buffer[] {
  const jwk: JsonWebKey = key.export({ format: "jwk" });
  switch (jwk.kty) {
    case "RSA":
      return [fields[0]!, integer(jwk.n), integer(jwk.e), integer(jwk.d), integer(jwk.qi), integer(jwk.p), integer(jwk.q)];
    case "OKP":
      return [...fields, Buffer.concat([bytes(jwk.d), bytes(jwk.x)])];
    default:
      return [...fields, integer(jwk.d)];
  }
}

function bytes(base64url: string | undefined): Buffer {
  return Buffer.from(base64url ?? "", "base64url");
}

/** A positive integer as SSH's `mpint`: no leading zeros, but one where the top bit would make it negative. */
function integer(base64url: string | undefined): Buffer {
  let value = bytes(base64url);
  while (value[0] === 0) value = value.subarray(1);
  return value.length > 0 && value[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), value]) : value;
}

function asString(value: Buffer): Buffer {
  return Buffer.concat([uint32(value.length), value]);
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}
