import { readFileSync } from "node:fs";
import path from "node:path";
import { connect } from "node:tls";
import { Cluster, Redis } from "ioredis";
import type { ProxyDoor } from "../../support/access-proxy.ts";
import type { Environment } from "../../support/environment.ts";
import type { TestCluster } from "../../support/redis-cluster.ts";

/** What a load needs of an environment: its proxy, and for the check in the end its cluster itself. */
export type EnvironmentDoor = ProxyDoor & Pick<TestCluster, "clusterClient">;

/** A running environment's proxy as its clients come to it. */
export function doorOf(environment: Environment, passwords: Readonly<Record<string, string>>): EnvironmentDoor {
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
      const client = new Cluster([{ host: "127.0.0.1", port: environment.nodePorts[0]! }], { redisOptions: { username: user, password: passwords[user]!, tls: identity }, ...options });
      client.on("error", () => undefined);
      return client;
    },
  };
}
