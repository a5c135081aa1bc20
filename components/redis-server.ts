import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { DeclarationError } from "./declaration-error.ts";
import { InvalidValueError } from "./invalid-value-error.ts";
import { renderParameters } from "./redis-conf.ts";
import type { RedisParameter } from "./redis-conf.ts";

/** `[major, minor]` of a redis-server. */
export type RedisVersion = readonly [major: number, minor: number];

/** Additional `redis.conf` parameters, and the option that holds them, for the error. */
export interface DeclaredParameters {
  readonly property: string;
  readonly values: Readonly<Record<string, RedisParameter>>;
}

/** Users with rules (ACL), TLS and cluster over TLS came with 6.0. */
const oldestMajor = 6;

/** A redis-server that cannot run what this toolkit declares, or a program that is no redis-server. */
export class UnsupportedRedisError extends DeclarationError {
  override readonly code = "UNSUPPORTED_REDIS";

  constructor(program: string, problem: string) {
    super(`${program} ${problem}; expected redis-server ${oldestMajor}.0 or later with TLS`);
    this.name = "UnsupportedRedisError";
  }
}

/**
 * Shell text that asks a program which redis-server it is, and has it read a configuration that ends in a line it cannot
 * know: it says which line stopped it, and ends before it listens anywhere or opens a file. Ends with exit code 0 always.
 */
export const examination = '"$REDIS_SERVER" --version 2>&1; printf "%s" "$REDIS_CONF" | "$REDIS_SERVER" - 2>&1 || true';

/** No version of Redis knows a parameter of this name. */
const unknownParameter = "redis-access-examination";

/** The environment that {@link examination} needs. */
export function examinationEnvironment(program: string, parameters: DeclaredParameters["values"] = {}): { readonly REDIS_SERVER: string; readonly REDIS_CONF: string } {
  return { REDIS_SERVER: program, REDIS_CONF: `tls-cluster yes\n${renderParameters(parameters)}${unknownParameter} yes\n` };
}

/**
 * Reads the answer to {@link examination}: `Redis server v=7.0.15 sha=…`, and what a configuration error looks like
 * (redis src/config.c, loadServerConfigFromString; the same from 6.0 on).
 * @throws {UnsupportedRedisError} the program is not there, no redis-server, older than 6.0, or built without TLS
 * @throws {InvalidValueError} a parameter that this redis-server does not take
 */
export function readExamination(program: string, answer: string, parameters?: DeclaredParameters): RedisVersion {
  const version = parseRedisVersion(program, answer);
  const stop = /^>>> '(.*)'\n(.*)$/m.exec(answer);
  const [name = "", ...rest] = stop?.[1]?.split(" ") ?? [];
  if (name === unknownParameter) return version;
  const said = stop === null ? "says nothing of a configuration that it cannot know" : `refuses ${JSON.stringify(stop[1])}: ${stop[2] ?? ""}`;
  if (name === "tls-cluster") throw new UnsupportedRedisError(program, `was built without TLS (it ${said})`);
  if (parameters === undefined || !Object.hasOwn(parameters.values, name)) throw new UnsupportedRedisError(program, `does not behave as redis-server: it ${said}`);
  throw new InvalidValueError(`${parameters.property}.${name}`, `${program}, version ${version.join(".")}, does not take ${rest.join(" ")}: ${stop?.[2] ?? ""}`);
}

function parseRedisVersion(program: string, answer: string): RedisVersion {
  const match = /\bv=(\d+)\.(\d+)\.\d+/.exec(answer);
  if (match === null) throw new UnsupportedRedisError(program, `is no redis-server; asked for its version it says ${JSON.stringify(answer.trim().split("\n")[0]?.slice(0, 80) ?? "")}`);
  const version = [Number(match[1]), Number(match[2])] as const;
  if (version[0] < oldestMajor) throw new UnsupportedRedisError(program, `is version ${version.join(".")}, which has no ACLs and no TLS`);
  return version;
}

/** Asks the program itself, at preview already. Fails as {@link readExamination} does. */
export function examineRedisServer(program: pulumi.Input<string>, parameters: pulumi.Input<DeclaredParameters["values"]> | undefined, opts?: pulumi.InvokeOutputOptions): pulumi.Output<RedisVersion> {
  const declared = pulumi.output(parameters ?? {});
  const environment = pulumi.all([program, declared]).apply(([name, values]) => examinationEnvironment(name, values));
  const run = command.local.runOutput({ command: examination, environment, logging: command.local.Logging.None }, opts);
  return pulumi.all([program, declared, run.stdout]).apply(([name, values, stdout]) => readExamination(name, stdout, { property: "parameters", values }));
}
