import { basename } from "node:path";
import type { Finding } from "../drift.ts";
import { nameSecret } from "../drift.ts";
import { poll } from "./poll.ts";
import { portsOf } from "./ports.ts";
import { findLostFiles } from "./private-files.ts";

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

/** A running proxy, and what of the machine is its own. */
export interface ProxyPlace {
  readonly pid: number;
  /** Where it listens, and nowhere else. */
  readonly listens: readonly { readonly port: number }[];
  /** Where its output goes. */
  readonly logFile: string;
  /** Further files that it writes to as long as it runs. */
  readonly privateFiles: readonly string[];
}

/**
 * Asks a running proxy which program and which configuration it runs with: the files on disk may be others by now. The system tells
 * which ports it has open, of which one may be a debugger's (SIGUSR1 opens Node's), and whether its logs are where they belong.
 */
export async function compareProxy({ url, program, configuration }: ProxyDeclaration, { pid, listens, logFile, privateFiles }: ProxyPlace): Promise<Finding[]> {
  const answer = await askTwice(url);
  if (typeof answer === "string") return [{ thing: "proxy", declared: `answers at ${url}`, actual: answer, mend: "restart" }];
  const facts = [
    ["running program", program, answer["program"], "restart"],
    ["configuration in use", configuration, answer["configuration"], "live"],
  ] as const;
  const [ports, lost] = await Promise.all([portsOf([pid]), findLostFiles(pid, [logFile, ...privateFiles])]);
  const own = new Set(listens.map(({ port }) => port));
  const others = (ports.get(pid) ?? []).filter((port) => !own.has(port));
  return [
    ...facts.flatMap(([thing, declared, actual, mend]): Finding[] =>
      declared === actual ? [] : [{ thing, declared: nameSecret(declared), actual: typeof actual === "string" ? nameSecret(actual) : "unknown", mend }],
    ),
    ...others.map((port): Finding => ({ thing: `port ${port}`, declared: "closed", actual: "open: the proxy listens on it, as with Node's debugger on 9229", mend: "restart" })),
    // It opens these anew where it reads its configuration again; its output stays what it was started with.
    ...lost.map(({ file, actual }): Finding => ({ thing: basename(file), declared: "what the proxy writes to", actual, mend: file === logFile ? "restart" : "live" })),
  ];
}

/**
 * Has a running proxy take its configuration over without dropping a client.
 *
 * @returns whether it runs with what is declared now; where it does not, only a restart is left
 */
export async function adjustProxy(declaration: ProxyDeclaration, place: ProxyPlace): Promise<boolean> {
  const before = await compareProxy(declaration, place);
  if (before.length === 0) return true;
  if (before.some(({ mend }) => mend === "restart")) return false;
  process.kill(place.pid, "SIGHUP");
  return (await poll(reloadLimitMs, async () => ((await compareProxy(declaration, place)).length === 0 ? true : undefined))) ?? false;
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
