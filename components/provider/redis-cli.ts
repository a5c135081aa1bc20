import { spawn } from "node:child_process";
import type { NodeAddress } from "../cluster-plan.ts";
import { nodeName } from "../cluster-plan.ts";
import { findRecorded, recordingWrapper, removeRecord } from "./process-record.ts";
import { stop } from "./launch.ts";

/** What `redis-cli --cluster create` is called with. */
export interface ClusterCreation {
  /** Absolute path of redis-cli. */
  readonly redisCli: string;
  readonly nodes: readonly NodeAddress[];
  readonly replicasPerMaster: number;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly user: string;
  readonly password: string;
  /** Where the running redis-cli is recorded, so that the next run finds one that outlived its caller. */
  readonly recordFile: string;
  readonly limitMs: number;
}

/** redis-cli did not form the cluster. Quotes what it said. */
export class ClusterCreationError extends Error {
  readonly code = "CLUSTER_CREATION";

  constructor(problem: string, output: string) {
    super(`redis-cli --cluster create ${problem}${output === "" ? "" : `:\n${output}`}`);
    this.name = "ClusterCreationError";
  }
}

const quotedLines = 8;
const recordedAs = "0".repeat(64);
const stopGraceMs = 2000;

/** The guide's command line. The password is in the environment: the argument list can be read by every user of the machine. */
export function clusterCreationArguments(creation: Omit<ClusterCreation, "redisCli" | "password" | "recordFile" | "limitMs">): string[] {
  return [
    ...["--user", creation.user],
    ...["--cluster-replicas", String(creation.replicasPerMaster)],
    ...["--tls", "--cluster-yes", "--cluster", "create", ...creation.nodes.map(nodeName)],
    ...["--cacert", creation.caFile, "--key", creation.keyFile, "--cert", creation.certFile],
  ];
}

/** Ends a redis-cli that an interrupted run has left behind: two at a time would undo each other's work. */
export async function endAbandonedCreation(recordFile: string): Promise<void> {
  const abandoned = await findRecorded(recordFile);
  if (abandoned !== undefined) await stop(abandoned, stopGraceMs);
  await removeRecord(recordFile);
}

/**
 * Runs `redis-cli --cluster create` to its end.
 * @throws {ClusterCreationError} it failed, or did not end within the limit (it waits without one for nodes to join)
 */
export async function createCluster(creation: ClusterCreation): Promise<void> {
  const child = spawn("/bin/sh", ["-c", recordingWrapper, "redis-access", creation.recordFile, recordedAs, creation.redisCli, ...clusterCreationArguments(creation)], {
    env: { PATH: "/usr/bin:/bin", REDISCLI_AUTH: creation.password },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-8192);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const timer = setTimeout(() => child.kill("SIGKILL"), creation.limitMs);
  const problem = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => {
      resolve(`could not be started: ${error.message}`);
    });
    child.once("close", (code, signal) => {
      if (signal !== null) resolve(`did not end within ${creation.limitMs / 1000} s`);
      else resolve(code === 0 ? undefined : `failed with exit code ${code ?? "?"}`);
    });
  });
  clearTimeout(timer);
  await removeRecord(creation.recordFile);
  if (problem !== undefined) throw new ClusterCreationError(problem, quote(output, creation.password));
}

function quote(output: string, password: string): string {
  return output.replaceAll(password, "[hidden]").trim().split("\n").slice(-quotedLines).join("\n");
}
