import type { X509Certificate } from "node:crypto";
import { X509Certificate as Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { connect } from "node:tls";
import { compareUsers } from "../acl-difference.ts";
import type { Finding } from "../drift.ts";
import { compareParameters, describeParameter } from "../parameter-difference.ts";
import { ownNames, parseRedisConf } from "../redis-conf.ts";
import { compareCertificate } from "../served-certificate.ts";
import { ignoreAbsent } from "./atomic-file.ts";
import { withNode } from "./node-client.ts";
import type { NodeAccess, NodeCall } from "./node-client.ts";
import { poll } from "./poll.ts";
import { pairs, readReference } from "./reference-server.ts";

/** What a running node must show. */
export interface NodeDeclaration {
  /** Absolute path of redis-server, for the form in which it writes things. */
  readonly program: string;
  /** Text of redis.conf. */
  readonly conf: string;
  /** Text of users.acl. */
  readonly acl: string;
  /** PEM of the certificate that it serves. */
  readonly certificate: string;
}

/** How a running node differs from its declaration. */
export interface NodeDifference {
  readonly findings: readonly Finding[];
  /** What would put right all findings that a running node can be told, in this order. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  /** Revision of the trust bundle's file, as it is now; empty where there is none. */
  readonly bundleRevision: string;
}

/** A node that has just been started listens within this time; a node that is loading its data listens, and answers. */
const listenLimitMs = 3000;
const handshakeLimitMs = 3000;
/** Of the files that a node opens, those that are its own and no client's (redis src/server.h: CONFIG_MIN_RESERVED_FDS). */
const ownFiles = 32;
/** How the Redis client says that a command was not answered in time. */
const commandTimeout = "Command timed out";
/** Redis holds writes back for so long at most while a replica takes over (redis src/cluster.h: CLUSTER_MF_TIMEOUT times CLUSTER_MF_PAUSE_MULT). */
const failoverPauseMs = 10_000;

/**
 * Looks at a running node: all its parameters, its users rule by rule, the certificate that it serves, and whether the trust
 * bundle's file is still the one that it has read.
 *
 * What a node holds in memory of its bundle cannot be asked. It reads the file when it starts and when it is told to; so its
 * bundle is known as long as nobody has touched the file since (ctime, which no tool sets back).
 * @param readRevision of the bundle's file when this toolkit last had the node read it; undefined if that is not known
 */
export async function compareNode(access: NodeAccess, pid: number, declared: NodeDeclaration, readRevision: string | undefined): Promise<NodeDifference> {
  const own = ownParameters(declared.conf);
  const bundleFile = own.get("tls-ca-cert-file") ?? "";
  const [reference, bundleRevision, openFiles] = await Promise.all([readReference(declared.program, declared.conf, declared.acl), revisionOf(bundleFile), openFilesLimit(pid)]);
  const reload = ["CONFIG", "SET", "tls-ca-cert-file", bundleFile] as const;
  try {
    return await whenListening(() =>
      withNode(access, async (call, served) => {
        const [parameters, users, commands] = await Promise.all([call("CONFIG", "GET", "*"), call("ACL", "LIST"), compareCommands(reference.commands, call)]);
        const live = pairs(parameters);
        const parameterDifferences = compareParameters(reference, own, withoutLimited(live, openFiles));
        const userDifference = compareUsers(reference.users, users as string[]);
        const certificate = compareCertificate(new Certificate(declared.certificate), served(), new Date());
        const bundle = describeBundle(bundleFile, readRevision, bundleRevision);
        const pause = await findWritePause(access, call);
        return {
          findings: [...parameterDifferences.map(describeParameter), ...userDifference.findings, ...certificate, ...bundle, ...pause, ...compareOpenFiles(live, openFiles), ...commands],
          commands: [
            ...parameterDifferences.filter(({ fixed }) => !fixed).map(({ name, declared: value }) => ["CONFIG", "SET", name, value] as const),
            ...userDifference.commands,
            // Reads certificate, key and bundle anew, though the paths are the same; connections that are open stay so.
            ...(certificate.length + bundle.length > 0 ? [reload] : []),
            ...(pause.length > 0 ? [["CLIENT", "UNPAUSE"] as const] : []),
          ],
          bundleRevision,
        };
      }),
    );
  } catch (error) {
    return { findings: await describeRefusal(access, declared, error), commands: [], bundleRevision };
  }
}

/**
 * Tells a running node all that it can be told while it runs, and looks again.
 * @returns revision of the bundle that it has read; undefined if only a restart makes it as declared
 */
export async function adjustNode(access: NodeAccess, pid: number, declared: NodeDeclaration, readRevision: string | undefined): Promise<string | undefined> {
  const before = await compareNode(access, pid, declared, readRevision);
  if (before.findings.length === 0) return before.bundleRevision;
  if (before.findings.some(({ mend }) => mend === "restart")) return undefined;
  const told = await withNode(access, async (call) => {
    for (const [command, ...args] of before.commands) await call(command, ...args);
    return true;
  }).catch(() => false);
  if (!told) return undefined;
  const after = await compareNode(access, pid, declared, before.bundleRevision);
  return after.findings.length === 0 ? after.bundleRevision : undefined;
}

/** Revision of the bundle's file as it is now: a node that is started next reads that one. */
export function bundleRevisionOf({ conf }: NodeDeclaration): Promise<string> {
  return revisionOf(ownParameters(conf).get("tls-ca-cert-file") ?? "");
}

/** Revision of a file's content and access, as the kernel keeps it; empty where there is no file. */
async function revisionOf(file: string): Promise<string> {
  const facts = await stat(file, { bigint: true }).catch(ignoreAbsent);
  return facts === undefined ? "" : String(facts.ctimeNs);
}

function ownParameters(conf: string): ReadonlyMap<string, string> {
  const lines = parseRedisConf(conf).filter(([name]) => ownNames.has(name));
  return new Map(lines.map(([name, ...args]) => [name, args.join(" ")]));
}

/** How many files the process may open; undefined where there is no limit, or it is not known. */
async function openFilesLimit(pid: number): Promise<number | undefined> {
  const limits = await readFile(`/proc/${pid}/limits`, "utf8").catch(() => "");
  const openFiles = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return openFiles === undefined ? undefined : Number(openFiles);
}

/** Redis lowers `maxclients` by itself where the process may not open so many files. */
function withoutLimited(live: ReadonlyMap<string, string>, openFiles: number | undefined): ReadonlyMap<string, string> {
  return openFiles !== undefined && Number(live.get("maxclients")) === openFiles - ownFiles ? new Map([...live].filter(([name]) => name !== "maxclients")) : live;
}

/** At its start Redis has seen to it that it may open a file for each client; a limit below that was set since (prlimit). */
function compareOpenFiles(live: ReadonlyMap<string, string>, openFiles: number | undefined): Finding[] {
  const needed = Number(live.get("maxclients")) + ownFiles;
  return openFiles === undefined || openFiles >= needed ? [] : [{ thing: "open files", declared: `${needed} or more, for maxclients ${live.get("maxclients")!}`, actual: `${openFiles} at most`, mend: "restart" }];
}

/** `rename-command` and `loadmodule` are no parameters: a node that was started with them tells by its commands only. */
async function compareCommands(declared: readonly string[], call: NodeCall): Promise<Finding[]> {
  // Nothing is said where this may not be asked: that a right is missing is told with the users.
  const [known, count] = await Promise.all([call("COMMAND", "INFO", ...declared), call("COMMAND", "COUNT")]).catch(() => []);
  if (!Array.isArray(known) || typeof count !== "number") return [];
  const missing = declared.filter((_, index) => known[index] === null);
  const more = count - (declared.length - missing.length);
  const actual = [...(missing.length > 0 ? [`without ${missing.join(", ")} (rename-command)`] : []), ...(more > 0 ? [`with ${more} more, under other names or of a module`] : [])].join(", ");
  return actual === "" ? [] : [{ thing: "commands", declared: "those of this redis-server", actual, mend: "restart" }];
}

function describeBundle(file: string, readRevision: string | undefined, revision: string): Finding[] {
  if (revision === readRevision) return [];
  const declared = `${file} as the node was last known to read it`;
  if (revision === "") return [{ thing: "trust bundle in use", declared, actual: "the file is gone, and what the node has read is not known", mend: "live" }];
  const since = new Date(Number(BigInt(revision) / 1_000_000n)).toISOString();
  return [{ thing: "trust bundle in use", declared, actual: "the file was touched since, and the node may have read it", since, mend: "live" }];
}

/**
 * Whether a node holds back what clients write (`CLIENT PAUSE … WRITE`), which before version 7.2 it does not tell: a script that
 * does nothing might write, and waits with the rest. Redis does the same for a moment while a replica takes over.
 */
async function findWritePause(access: NodeAccess, call: NodeCall): Promise<Finding[]> {
  const isHeldBack = (tell: NodeCall): Promise<boolean> => tell("EVAL", "return 1", "0").then(() => false, (error: unknown) => error instanceof Error && error.message === commandTimeout);
  const until = performance.now() + failoverPauseMs;
  let held = await isHeldBack(call);
  while (held && performance.now() < until) held = await withNode(access, isHeldBack);
  return held ? [{ thing: "writes of clients", declared: "served", actual: "held back (CLIENT PAUSE)", mend: "live" }] : [];
}

/** Why a node that runs lets nobody look. */
async function describeRefusal({ host, port, user }: NodeAccess, declared: NodeDeclaration, error: unknown): Promise<Finding[]> {
  const message = error instanceof Error ? error.message : String(error);
  const served = await handshake(host, port);
  const certificate = served === undefined ? [] : compareCertificate(new Certificate(declared.certificate), served, new Date());
  if (certificate.length > 0) return certificate.map((finding) => ({ ...finding, mend: "restart" }));
  const reason = describeDeafness(message, served !== undefined);
  if (reason !== undefined) return [{ thing: "answers", declared: "to everybody", actual: `to nobody: ${reason}`, mend: "restart" }];
  return [{ thing: `login of ${user}`, declared: "let in", actual: message, mend: "restart" }];
}

function describeDeafness(message: string, handshakes: boolean): string | undefined {
  if (message.startsWith("BUSY ")) return "a script of a client does not end (SCRIPT KILL ends one that has written nothing)";
  // A handshake and no answer behind it: its clients are paused, logins too.
  if (handshakes) return message.endsWith(commandTimeout) ? "its clients are paused (CLIENT PAUSE), or a command does not end" : undefined;
  return /ECONNRESET|before secure TLS/.test(message) ? "it closes connections before it has shown its certificate, as it does where maxclients are there" : undefined;
}

/** The certificate that is served at an address, whoever signed it; undefined where there is no TLS. */
function handshake(host: string, port: number): Promise<X509Certificate | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: handshakeLimitMs });
    const end = (certificate: X509Certificate | undefined): void => {
      resolve(certificate);
      socket.destroy();
    };
    socket.once("secureConnect", () => {
      end(socket.getPeerX509Certificate());
    });
    socket.once("timeout", () => {
      end(undefined);
    });
    socket.once("error", () => {
      end(undefined);
    });
  });
}

async function whenListening<T>(look: () => Promise<T>): Promise<T> {
  let refused: unknown;
  const outcome = await poll(listenLimitMs, async () => {
    try {
      return { value: await look() };
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes("ECONNREFUSED")) throw error;
      refused = error;
      return undefined;
    }
  });
  if (outcome === undefined) throw refused;
  return outcome.value;
}
