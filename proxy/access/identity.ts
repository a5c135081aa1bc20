import type { X509Certificate } from "node:crypto";

/** Who a client is, as its certificate says. */
export interface Identity {
  /** The subject's common name. */
  readonly user: string;
  /** The subject's organizations, one a role. */
  readonly roles: readonly string[];
  /** The Redis user that the session is for, where the certificate names one. */
  readonly databaseUser: string | undefined;
}

/** A certificate that names nobody: `IDENTITY_INVALID`. The message says what is missing. */
export class IdentityError extends Error {
  readonly code = "IDENTITY_INVALID";

  constructor(message: string) {
    super(message);
    this.name = "IdentityError";
  }
}

/** The URI in the subject alternative name that names the Redis user: `redis-access:db-user:alice`, percent-encoded. */
const DATABASE_USER_URI = "redis-access:db-user:";

/**
 * Reads a user certificate: common name = user, each organization = a role, and optionally one URI of the form
 * `redis-access:db-user:<Redis user>` among the subject alternative names.
 *
 * @throws IdentityError where there is not exactly one common name, or more than one Redis user
 */
export function identityOf(certificate: X509Certificate): Identity {
  const subject = subjectAttributes(certificate.subject);
  const names = subject.filter(([type]) => type === "CN").map(([, value]) => value);
  if (names.length !== 1 || names[0] === "") throw new IdentityError("the certificate's subject must have exactly one common name (CN), the user");
  const users = alternativeUris(certificate.subjectAltName ?? "").filter((uri) => uri.startsWith(DATABASE_USER_URI));
  if (users.length > 1) throw new IdentityError("the certificate names more than one Redis user");
  return {
    user: names[0]!,
    roles: subject.filter(([type]) => type === "O").map(([, value]) => value),
    databaseUser: users[0] === undefined ? undefined : decodeName(users[0].slice(DATABASE_USER_URI.length)),
  };
}

/**
 * The attributes of a subject as Node prints it: one a line, several of one multi-valued RDN joined by ` + `, with
 * backslash escapes (RFC 4514, section 2.4) for special characters.
 */
function subjectAttributes(subject: string): [type: string, value: string][] {
  return subject.split("\n").flatMap((line) =>
    line.split(/(?<!\\) \+ (?=[A-Za-z0-9.]+=)/).flatMap((attribute): [string, string][] => {
      const equals = attribute.indexOf("=");
      return equals < 0 ? [] : [[attribute.slice(0, equals), unescapeValue(attribute.slice(equals + 1))]];
    }),
  );
}

function unescapeValue(value: string): string {
  const bytes: number[] = [];
  for (let i = 0; i < value.length; i++) {
    const hex = /^\\([0-9A-Fa-f]{2})/.exec(value.slice(i, i + 3));
    if (hex !== null) {
      bytes.push(parseInt(hex[1]!, 16));
      i += 2;
    } else if (value[i] === "\\" && i + 1 < value.length) {
      bytes.push(...Buffer.from(value[++i]!));
    } else {
      const point = String.fromCodePoint(value.codePointAt(i)!);
      bytes.push(...Buffer.from(point));
      i += point.length - 1;
    }
  }
  return Buffer.from(bytes).toString("utf8");
}

/** The URIs of a subject alternative name as Node prints it; a name with special characters stands as a JSON string there. */
function alternativeUris(text: string): string[] {
  const uris: string[] = [];
  const entry = /(?:^|, )([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/gy;
  for (let match = entry.exec(text); match !== null; match = entry.exec(text)) {
    if (match[1] !== "URI") continue;
    uris.push(match[2]!.startsWith('"') ? String(JSON.parse(match[2]!)) : match[2]!);
  }
  return uris;
}

function decodeName(name: string): string {
  try {
    const decoded = decodeURIComponent(name);
    if (decoded !== "") return decoded;
  } catch {
    // Falls through to the error below: the certificate's issuer made a URI that is none.
  }
  throw new IdentityError("the certificate's URI redis-access:db-user:… names no Redis user");
}
