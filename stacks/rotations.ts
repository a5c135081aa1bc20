import { readFileSync } from "node:fs";
import { join } from "node:path";
import { recordFiles } from "../components/rotation-record.ts";
import type { DeclaredRotation, RotationRecord } from "../components/rotation-record.ts";
import { unrotated } from "../components/rotation.ts";
import { systemUserRules } from "../components/users-acl.ts";
import type { Settings } from "./settings.ts";

/** Every rotation of a stack, in the words of its configuration. */
export function declaredRotations({ redisCaRotation, dbClientCaRotation, passwordRotations, users }: Pick<Settings, "redisCaRotation" | "dbClientCaRotation" | "passwordRotations" | "users">): readonly DeclaredRotation[] {
  const passwords = [...users, ...Object.keys(systemUserRules)].map((user): DeclaredRotation => ({ property: `passwordRotations.${user}`, kind: "password", step: passwordRotations[user] ?? unrotated }));
  return [
    { property: "redisCaRotation", kind: "authority", step: redisCaRotation },
    { property: "dbClientCaRotation", kind: "authority", step: dbClientCaRotation },
    ...passwords,
  ];
}

/** Reads how far a stack's rotations are, from the stack's directory; what is not there, or cannot be read, is left out. */
export function readRotationRecord(directory: string): Partial<RotationRecord> {
  return Object.fromEntries(Object.entries(recordFiles).flatMap(([name, file]) => {
    try {
      return [[name, readFileSync(join(directory, file), "utf8")]];
    } catch {
      return [];
    }
  }));
}
