import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { AuditLog } from "../../../proxy/access/audit.ts";
import type { AuditOptions, KeyRanges } from "../../../proxy/access/audit.ts";

/** One line of the audit, as JSON has it. */
export type AuditEvent = Record<string, unknown> & { readonly time: string; readonly event: string };

/** A session as the tests use it. */
export const JANE = { id: 1, user: "jane", roles: ["access"], remote: "127.0.0.1:50000", database: "example-redis" };

/** A directory of the test's own, which goes with it. */
export async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "redis-access-audit-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** An audit that is closed at the end of the test. */
export async function opened(t: TestContext, file: string, options: AuditOptions = {}): Promise<AuditLog> {
  const audit = await AuditLog.open(file, { retryMs: 20, ...options });
  t.after(() => audit.close());
  return audit;
}

/** The keys of a command that has no other arguments. */
export function keysOf(...keys: readonly Buffer[]): KeyRanges {
  let end = 0;
  const ranges = keys.flatMap((key) => [end, (end += key.length)]);
  return { bytes: Buffer.concat(keys), ranges, count: keys.length };
}

/** All lines of a file; throws where one is not whole. */
export async function eventsOf(file: string): Promise<AuditEvent[]> {
  return parsed(await readFile(file));
}

/** All lines; throws where one is not whole. */
export function parsed(bytes: Buffer): AuditEvent[] {
  if (bytes.length === 0) return [];
  const lines = new TextDecoder("utf8", { fatal: true }).decode(bytes).split("\n");
  if (lines.pop() !== "") throw new Error("the last line is not whole");
  return lines.map((line) => JSON.parse(line) as AuditEvent);
}

/** Waits for something to become true. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within 10 s: ${what}`);
    await delay(5);
  }
}
