import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, realpath } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { NodeAddress } from "./cluster-plan.ts";
import { DeclarationError } from "./declaration-error.ts";
import { InvalidValueError } from "./invalid-value-error.ts";
import { describeForeign } from "./provider/directory-resource.ts";
import { inhabitantsOf } from "./provider/inhabitants.ts";
import { findPortObstacle } from "./provider/ports.ts";
import { directoryOf } from "./provider/process-record.ts";
import { stackName } from "./provider/resources.ts";
import { examination, examinationEnvironment, readExamination, UnsupportedRedisError } from "./redis-server.ts";
import type { DeclaredParameters } from "./redis-server.ts";

/** What an environment asks of the machine that it is made on. */
export interface MachineNeeds {
  /** Absolute path of the directory that holds all of it: absent, empty, or made by this toolkit before, for this stack or one that is gone. */
  readonly directory: string;
  /** Every address at which a program of it listens, with the option that declares it. */
  readonly listens: readonly (NodeAddress & { readonly property: string })[];
  /** Absolute paths. */
  readonly redisServer: string;
  readonly redisCli: string;
  readonly parameters: DeclaredParameters;
}

/** The machine cannot bear what is declared. Has a line for every reason. */
export class UnsuitableMachineError extends DeclarationError {
  override readonly code = "UNSUITABLE_MACHINE";

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "UnsuitableMachineError";
  }
}

const answerLimitMs = 10_000;

/**
 * Looks whether this machine can bear an environment, and changes nothing. A preview finds most of it too, but an update
 * without preview finds it resource by resource, when others have been made: awaited before the first resource of a
 * program, this refuses the whole.
 * @throws {UnsuitableMachineError} a directory that is not this toolkit's own, another stack's or cannot be made, an address that another
 *   program holds or that is not this machine's, a redis-server or redis-cli that is not there, too old or without TLS, a
 *   parameter that redis-server does not take
 */
export async function checkLocalMachine(needs: MachineNeeds): Promise<void> {
  const home = await realPath(needs.directory);
  const inhabitants = await inhabitantsOf(home);
  const problems = await Promise.all([
    describeDirectory(needs.directory),
    ...needs.listens.map((address) => describeAddress(address, home, inhabitants)),
    describeRedisServer(needs),
    describeRedisCli(needs.redisCli),
  ]);
  const found = [...new Set(problems.filter((problem) => problem !== undefined))];
  if (found.length > 0) throw new UnsuitableMachineError(found);
}

async function describeDirectory(directory: string): Promise<string | undefined> {
  const problem = await describeForeign(directory, stackName());
  if (problem !== undefined) return `directory: ${problem}`;
  const existing = await nearestExisting(directory);
  if (await permits(existing, constants.W_OK | constants.X_OK)) return undefined;
  return `directory: ${directory} cannot be made, because ${existing} is not writable for this user; choose another directory`;
}

async function nearestExisting(path: string): Promise<string> {
  return path === "/" || (await permits(path, constants.F_OK)) ? path : nearestExisting(dirname(path));
}

/** A path without symbolic links, as the kernel tells where a process works, whether or not there is anything at it. */
async function realPath(path: string): Promise<string> {
  const existing = await nearestExisting(path);
  return join(await realpath(existing), relative(existing, path));
}

/** What already listens there and works in the environment's own directory is a part of it. */
async function describeAddress({ property, host, port }: MachineNeeds["listens"][number], home: string, inhabitants: readonly number[]): Promise<string | undefined> {
  const obstacle = await findPortObstacle(host, port, inhabitants);
  if (obstacle === undefined) return undefined;
  const workplace = obstacle.pid === undefined ? undefined : await directoryOf(obstacle.pid);
  return workplace?.startsWith(`${home}/`) === true ? undefined : `${property}: ${obstacle.reason}`;
}

async function describeRedisServer({ redisServer, parameters }: MachineNeeds): Promise<string | undefined> {
  if (!(await permits(redisServer, constants.X_OK))) return `redisServer: ${redisServer} is not there, or not executable; install the package redis-server`;
  const { output } = await run("/bin/sh", ["-c", examination], examinationEnvironment(redisServer, parameters.values));
  try {
    readExamination(redisServer, output, parameters);
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedRedisError) return `redisServer: ${error.message}`;
    if (error instanceof InvalidValueError) return error.message;
    throw error;
  }
}

async function describeRedisCli(redisCli: string): Promise<string | undefined> {
  if (!(await permits(redisCli, constants.X_OK))) return `redisCli: ${redisCli} is not there, or not executable; install the package redis-tools`;
  const { code, output } = await run(redisCli, ["--tls", "--version"], {});
  return code === 0 && /-cli \d/.test(output) ? undefined : `redisCli: ${redisCli} is no redis-cli with TLS; asked for its version it says ${JSON.stringify(output.trim().split("\n")[0])}`;
}

async function permits(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

function run(program: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const options = { cwd: "/", env: { PATH: process.env["PATH"], ...environment }, timeout: answerLimitMs };
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, output: stdout + stderr });
    });
  });
}
