import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { connect } from "node:tls";
import { Cluster, Redis } from "ioredis";
import { checkHistory } from "../../faults/support/check-history.ts";
import { Load } from "../../faults/support/load.ts";
import type { LoadOptions } from "../../faults/support/load.ts";
import type { ProxyDoor } from "../../support/access-proxy.ts";
import type { Environment } from "../../support/environment.ts";
import type { TestCluster } from "../../support/redis-cluster.ts";
import { RedisPyLoad, summaryOf } from "./redis-py-load.ts";

/** Passwords by Redis user, as the stack's outputs have them. */
type Passwords = Readonly<Record<string, string>>;

/** What a load needs of an environment: its proxy, and for the check in the end its cluster itself. */
export type EnvironmentDoor = ProxyDoor & Pick<TestCluster, "clusterClient">;

/** A running environment's proxy as its clients come to it. */
export function doorOf(environment: Environment, passwords: Passwords): EnvironmentDoor {
  const read = (name: string): Buffer => readFileSync(path.join(environment.directory, name));
  const tls = { ca: read("client/ca.crt"), cert: read("client/client.crt"), key: read("client/client.key"), servername: "localhost" };
  return {
    target: { passwords },
    client(user = "alice", options = {}) {
      const client = new Redis({ port: environment.proxyPort, username: user, password: passwords[user]!, tls, protocol: 2, disableClientInfo: true, enableReadyCheck: false, ...options });
      client.on("error", () => undefined);
      return client;
    },
    socket() {
      const socket = connect({ host: "127.0.0.1", port: environment.proxyPort, ...tls });
      socket.on("error", () => undefined);
      return socket;
    },
    clusterClient(user = "alice", options = {}) {
      const at = `nodes/${environment.nodePorts[0]!}`;
      const identity = { ca: read(`${at}/ca.crt`), cert: read(`${at}/server.crt`), key: read(`${at}/server.key`), servername: "" };
      // All of them: any one may be down.
      const client = new Cluster(environment.nodePorts.map((port) => ({ host: environment.hostOf(port), port })), { redisOptions: { username: user, password: passwords[user]!, tls: identity }, ...options });
      client.on("error", () => undefined);
      return client;
    },
  };
}

/** Who reads and writes beside a change, and what they are called. */
export interface ChangeLoad extends Pick<LoadOptions, "clients" | "pauseMs" | "resends"> {
  /** Names the change in the report, and begins the keys. */
  readonly name: string;
  /** Asked before and after: a change may be one of passwords. */
  readonly passwords: () => Passwords | Promise<Passwords>;
  /** Takes a line of each library on what its clients have met. */
  readonly report: (line: string) => void;
}

/** Commands that each library has answered before a change begins, and after it. */
const commandsAround = 300;

/**
 * Has clients by ioredis and by redis-py read and write, pipelined and not, while something is done; holds that not one command
 * has failed and not one acknowledged write is lost.
 */
export async function underLoad<T>(environment: Environment, { name, passwords, report, ...options }: ChangeLoad, change: () => Promise<T>): Promise<T> {
  const before = await passwords();
  const keys = name.replaceAll(" ", "-");
  const at = (file: string): string => path.join(environment.directory, "client", file);
  const redisPy = await RedisPyLoad.start({
    ...{ host: "127.0.0.1", port: environment.proxyPort, ca: at("ca.crt"), cert: at("client.crt"), key: at("client.key"), user: "alice", password: before["alice"]! },
    ...{ prefix: `redis-py:${keys}`, resends: options.resends ?? false },
  });
  const ioredis = new Load(doorOf(environment, before), { ...options, name: keys });
  const progress = (): Promise<unknown> => Promise.all([ioredis.progress(commandsAround), redisPy.progress(commandsAround)]);
  try {
    await progress();
    const start = performance.now();
    const outcome = await change();
    report(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    await progress();
    return outcome;
  } finally {
    const [expected, seen] = await Promise.all([ioredis.stop(), redisPy.stop()]);
    report(`${name}, ioredis: ${ioredis.history.summary()}`);
    report(`${name}, redis-py: ${summaryOf(seen)}`);
    const findings = await checkHistory(ioredis.history, expected, doorOf(environment, await passwords()));
    assert.deepEqual({ errors: ioredis.history.errors, ...findings }, { errors: [], faults: [], lost: 0 });
    assert.deepEqual({ errors: seen.errors, faults: seen.faults }, { errors: [], faults: [] });
  }
}
