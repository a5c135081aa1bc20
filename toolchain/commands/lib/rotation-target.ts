import type { AuthorityKind } from "../../../components/certificate-profile.ts";
import { closestWord } from "../../../components/closest-word.ts";
import type { RotationKind } from "../../../components/rotation.ts";
import { systemUserRules } from "../../../components/users-acl.ts";

/** Something that is replaced in phases, with an overlap. */
export interface PhasedTarget {
  readonly kind: RotationKind;
  /** Its configuration key. */
  readonly property: string;
  /** For people: `the Redis CA`. */
  readonly name: string;
  /** Of an authority. */
  readonly authority?: Extract<AuthorityKind, "redis" | "db_client">;
  /** Of a password. */
  readonly user?: string;
  /** Whether whoever uses it is outside this stack, and must be told before the old one goes. */
  readonly usedOutside: boolean;
}

/** Certificates that are replaced in one step: the authority stays, so that the new ones are trusted already. */
export interface CertificatesTarget {
  readonly kind: "certificates";
  readonly property: "nodeCertificates" | "proxyCertificate" | "clientCertificate";
  readonly name: string;
}

/** What `npm run rotate` can rotate. */
export type RotationTarget = PhasedTarget | CertificatesTarget;

const targets: Readonly<Record<string, RotationTarget>> = {
  "redis-ca": { kind: "authority", property: "redisCaRotation", name: "the Redis CA", authority: "redis", usedOutside: false },
  "db-client-ca": { kind: "authority", property: "dbClientCaRotation", name: "the db_client CA", authority: "db_client", usedOutside: false },
  "node-certificates": { kind: "certificates", property: "nodeCertificates", name: "the nodes' certificates" },
  "proxy-certificate": { kind: "certificates", property: "proxyCertificate", name: "the proxy's certificate" },
  "client-certificate": { kind: "certificates", property: "clientCertificate", name: "the first client's certificate" },
};

/** What stands on the command line in the place of a target, for its help. */
export const targetWords: Readonly<Record<string, string>> = {
  "redis-ca": "the authority of the nodes' certificates, in four steps",
  "db-client-ca": "the authority of the certificates that the proxy shows to the nodes, in four steps",
  "node-certificates": "key and certificate of every node",
  "proxy-certificate": "key and certificate that the proxy shows to clients",
  "client-certificate": "key and certificate of the first client",
  "password USER": "the password of a Redis user, in three steps; stops while both passwords are valid",
};

/** Words of the command line that name nothing to rotate. */
export class UnknownTargetError extends Error {
  override readonly name = "UnknownTargetError";
  readonly code = "UNKNOWN_TARGET";
}

/**
 * Reads what is to be rotated.
 * @throws {UnknownTargetError} with what would be right
 */
export function readTarget(words: readonly string[]): RotationTarget {
  const [word, ...rest] = words;
  const expected = `expected one of ${Object.keys(targetWords).join(", ")}`;
  if (word === undefined) throw new UnknownTargetError(`What is to be rotated is not given; ${expected}`);
  if (word === "password") {
    const [user, ...more] = rest;
    if (user === undefined || more.length > 0) throw new UnknownTargetError(`password: expected the name of one Redis user, such as: password alice`);
    return { kind: "password", property: `passwordRotations.${user}`, name: `the password of ${user}`, user, usedOutside: !Object.hasOwn(systemUserRules, user) };
  }
  const target = Object.hasOwn(targets, word) ? targets[word] : undefined;
  if (target === undefined) {
    const meant = closestWord(word, [...Object.keys(targets), "password"]);
    throw new UnknownTargetError(`${JSON.stringify(word)} cannot be rotated; ${meant === undefined ? "" : `did you mean ${meant}? `}${expected}`);
  }
  if (rest.length > 0) throw new UnknownTargetError(`${word}: takes no further words, but ${JSON.stringify(rest[0])} was given`);
  return target;
}
