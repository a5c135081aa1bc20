import { readFileSync } from "node:fs";
import type { Child } from "./child.ts";

/** Mebibytes of memory that a process holds (resident set). */
export function residentMebibytes({ pid }: Child): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
}

/** The most that a process held while `action` ran, in mebibytes; looked at 50 times a second. */
export async function mostDuring(child: Child, action: () => Promise<void>): Promise<number> {
  let most = residentMebibytes(child);
  const timer = setInterval(() => {
    most = Math.max(most, residentMebibytes(child));
  }, 20);
  try {
    await action();
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, residentMebibytes(child));
}

/** The most that a process's memory grew by while `action` ran, in mebibytes. */
export async function growthDuring(child: Child, action: () => Promise<void>): Promise<number> {
  const before = residentMebibytes(child);
  return Math.round((await mostDuring(child, action)) - before);
}
