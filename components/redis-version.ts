import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

/** `[major, minor]` of a redis-server. */
export type RedisVersion = readonly [major: number, minor: number];

/** Users with rules (ACL), TLS and cluster over TLS came with 6.0. */
const oldestMajor = 6;

/** A redis-server that cannot run what this toolkit declares, or a program that is no redis-server. */
export class UnsupportedRedisError extends Error {
  readonly code = "UNSUPPORTED_REDIS";
  /** Has Pulumi show the message alone (the mark of its RunError): what a user has declared needs no stack trace. */
  readonly __pulumiRunError = true;

  constructor(program: string, problem: string) {
    super(`${program}: ${problem}; expected redis-server ${oldestMajor}.0 or later`);
    this.name = "UnsupportedRedisError";
  }
}

/**
 * Reads the answer to `redis-server --version` (`Redis server v=7.0.15 sha=…`).
 * @throws {UnsupportedRedisError}
 */
export function parseRedisVersion(program: string, answer: string): RedisVersion {
  const match = /\bv=(\d+)\.(\d+)\.\d+/.exec(answer);
  if (match === null) throw new UnsupportedRedisError(program, `is no redis-server; it answers ${JSON.stringify(answer.trim().slice(0, 80))} to --version`);
  const version = [Number(match[1]), Number(match[2])] as const;
  if (version[0] < oldestMajor) throw new UnsupportedRedisError(program, `is version ${version.join(".")}, which has no ACLs and no TLS`);
  return version;
}

/** Asks the program itself, at preview already. */
export function readRedisVersion(program: pulumi.Input<string>, opts?: pulumi.InvokeOutputOptions): pulumi.Output<RedisVersion> {
  const run = command.local.runOutput({ command: '"$REDIS_SERVER" --version', environment: { REDIS_SERVER: program }, logging: command.local.Logging.None }, opts);
  return pulumi.all([program, run.stdout]).apply(([name, stdout]) => parseRedisVersion(name, stdout));
}
