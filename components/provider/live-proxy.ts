import type { Finding } from "../drift.ts";
import { nameSecret } from "../drift.ts";
import { poll } from "./poll.ts";

/** What a running proxy must answer at its `/version`. */
export interface ProxyDeclaration {
  readonly url: string;
  /** SHA-256 of its program. */
  readonly program: string;
  /** SHA-256 over all files that it has read (components/proxy-version.ts). */
  readonly configuration: string;
}

const answerLimitMs = 5000;
/**
 * A proxy that refuses a configuration says so in its log only, and goes on with the one before. It may try ten seconds whether
 * that leads to its databases.
 */
const reloadLimitMs = 12_000;
const tries = 2;

/** Asks a running proxy which program and which configuration it runs with. The files on disk may be others by now. */
export async function compareProxy({ url, program, configuration }: ProxyDeclaration): Promise<Finding[]> {
  const answer = await askTwice(url);
  if (typeof answer === "string") return [{ thing: "proxy", declared: `answers at ${url}`, actual: answer, mend: "restart" }];
  const facts = [
    ["running program", program, answer["program"], "restart"],
    ["configuration in use", configuration, answer["configuration"], "live"],
  ] as const;
  return facts.flatMap(([thing, declared, actual, mend]): Finding[] =>
    declared === actual ? [] : [{ thing, declared: nameSecret(declared), actual: typeof actual === "string" ? nameSecret(actual) : "unknown", mend }],
  );
}

/**
 * Has a running proxy take its configuration over without dropping a client.
 *
 * @returns whether it runs with what is declared now; where it does not, only a restart is left
 */
export async function adjustProxy(declaration: ProxyDeclaration, pid: number): Promise<boolean> {
  const before = await compareProxy(declaration);
  if (before.length === 0) return true;
  if (before.some(({ mend }) => mend === "restart")) return false;
  process.kill(pid, "SIGHUP");
  return (await poll(reloadLimitMs, async () => ((await compareProxy(declaration)).length === 0 ? true : undefined))) ?? false;
}

/** A busy machine may be late once. */
async function askTwice(url: string): Promise<Readonly<Record<string, unknown>> | string> {
  let problem = "";
  for (let attempt = 0; attempt < tries; attempt++) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(answerLimitMs), redirect: "manual" });
      if (response.status === 200) return (await response.json()) as Record<string, unknown>;
      await response.body?.cancel();
      return `HTTP ${response.status}`;
    } catch (error) {
      problem = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
    }
  }
  return problem;
}
