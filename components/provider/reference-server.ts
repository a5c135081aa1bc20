import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReferenceParameters } from "../parameter-difference.ts";
import { ownNames, parseRedisConf, quoteArgument } from "../redis-conf.ts";
import { withConnection } from "./node-client.ts";
import type { NodeCall } from "./node-client.ts";
import { poll } from "./poll.ts";

/** What a server of the declared version makes of the declared texts, in its own form. */
export interface Reference extends ReferenceParameters {
  /** The answer to `ACL LIST`. */
  readonly users: readonly string[];
  /** Names of all commands that there are. */
  readonly commands: readonly string[];
}

/** The declared program cannot start with the declared parameters and users. Quotes what it said. */
export class ReferenceServerError extends Error {
  readonly code = "REFERENCE_SERVER";

  constructor(program: string, output: string) {
    super(`${program} does not start with the declared parameters and users, so that nothing can be compared with them:\n${output}`);
    this.name = "ReferenceServerError";
  }
}

const startLimitMs = 10_000;
/** After it the server ends whatever has become of this process. */
const lifeLimitSeconds = 20;
const quotedLines = 4;

const references = new Map<string, Promise<Reference>>();

/**
 * Redis writes users and parameters in a form of its own, which differs between versions: `256mb` becomes `268435456`. So a
 * server of the declared version is given the declared texts, asked for them, and ended: it listens on a socket in a
 * directory of its own only, and lives for a fraction of a second. All nodes with the same texts share one.
 * @param conf text of redis.conf; what is a node's own in it (its ports, paths, login) is left out
 * @param acl text of users.acl
 * @throws {ReferenceServerError}
 */
export function readReference(program: string, conf: string, acl: string): Promise<Reference> {
  const shared = parseRedisConf(conf).filter(([name]) => !ownNames.has(name));
  const parameters = shared.map(([name, ...args]) => [name, ...args.map((argument) => quoteArgument(name, argument))].join(" ")).join("\n");
  const key = createHash("sha256").update([program, parameters, acl].join("\0")).digest("hex");
  const known = references.get(key) ?? askReference(program, parameters, acl);
  references.set(key, known);
  return known;
}

async function askReference(program: string, parameters: string, acl: string): Promise<Reference> {
  const directory = await mkdtemp(join(tmpdir(), "redis-access-reference-"));
  try {
    const path = join(directory, "socket");
    // Users of the declaration may all be switched off, or allowed nothing.
    const reader = { username: `reader-${randomBytes(8).toString("hex")}`, password: randomBytes(16).toString("hex") };
    const aclFile = join(directory, "users.acl");
    await writeFile(aclFile, `${acl.trimEnd()}\nuser ${reader.username} on >${reader.password} +@all\n`, { mode: 0o600 });
    const server = startServer(program, directory, [`port 0`, `dir ${directory}`, `unixsocket ${path}`, "unixsocketperm 700", `aclfile ${aclFile}`, parameters, ""].join("\n"));
    const answer = await poll(
      startLimitMs,
      async () => {
        const outcome = await withConnection(path, { path, ...reader }, ask).catch(() => undefined);
        if (outcome === undefined && server.ended()) throw new ReferenceServerError(program, server.output());
        return outcome;
      },
      10,
    );
    if (answer === undefined) throw new ReferenceServerError(program, server.output());
    return { ...answer, users: answer.users.filter((line) => !line.startsWith(`user ${reader.username} `)) };
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function startServer(program: string, directory: string, conf: string): { ended(): boolean; output(): string } {
  const child = spawn("timeout", ["-s", "KILL", String(lifeLimitSeconds), program, "-"], { cwd: directory, env: { PATH: "/usr/bin:/bin" }, stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  let ended = false;
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-8192);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  child.on("error", (error) => (output += error.message));
  child.on("close", () => (ended = true));
  child.stdin.on("error", () => undefined).end(conf);
  return { ended: () => ended, output: () => output.replace(/[0-9a-fA-F]{32,}/g, "[hidden]").trim().split("\n").slice(-quotedLines).join("\n") };
}

async function ask(call: NodeCall): Promise<Reference> {
  const values = pairs(await call("CONFIG", "GET", "*"));
  const users = (await call("ACL", "LIST")) as string[];
  const commands = ((await call("COMMAND")) as [name: string][]).map(([name]) => name).sort();
  // Setting a parameter to what it is changes nothing, and tells whether this version would change it at all.
  const trials = await Promise.all([...values].map(async ([name, value]) => ({ name, outcome: await call("CONFIG", "SET", name, value).catch((error: unknown) => error) })));
  const fixed = trials.filter(({ outcome }) => outcome instanceof Error && /immutable|protected|unsupported|unknown/i.test(outcome.message)).map(({ name }) => name);
  await call("SHUTDOWN", "NOSAVE").catch(() => undefined);
  return { values: new Map([...values].filter(([name]) => !name.startsWith("unixsocket"))).set("unixsocket", "").set("unixsocketperm", "0"), fixed: new Set(fixed), users, commands };
}

/** A reply of names and values in turn, as `CONFIG GET` gives it. */
export function pairs(reply: unknown): Map<string, string> {
  const words = reply as string[];
  return new Map(words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1] ?? ""] as const] : [])));
}
