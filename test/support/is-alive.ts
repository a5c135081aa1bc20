import { readFileSync } from "node:fs";

/**
 * Whether a process runs. One that has ended and whose exit status nobody has collected, as where process 1 of a container
 * does not, runs no more.
 */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
