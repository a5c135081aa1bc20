import { readFileSync } from "node:fs";
import path from "node:path";
import { Redis } from "ioredis";
import { parseClusterNodes } from "../../components/cluster-nodes.ts";
import type { MemberView } from "../../components/formation-plan.ts";
import { withNode } from "../../components/provider/node-client.ts";
import type { Environment } from "./environment.ts";

/** Uses a client of an environment's proxy, as an application has it, and closes it. */
export async function throughProxy<T>(environment: Environment, password: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const read = (name: string): Buffer => readFileSync(path.join(environment.directory, "client", name));
  const tls = { ca: read("ca.crt"), cert: read("client.crt"), key: read("client.key"), servername: "localhost" };
  const client = new Redis({ port: environment.proxyPort, username: "alice", password, tls, protocol: 2, disableClientInfo: true, enableReadyCheck: false });
  client.on("error", () => undefined);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** Sends one command to a node itself, as alice with the node's own certificate. */
export async function askNode(environment: Environment, password: string, port: number, command: string, ...args: string[]): Promise<unknown> {
  const at = (name: string): string => path.join(environment.directory, "nodes", String(port), name);
  const access = { host: environment.hostOf(port), port, caFile: at("ca.crt"), certFile: at("server.crt"), keyFile: at("server.key"), user: "alice", password };
  return withNode(access, (call) => call(command, ...args));
}

/** The cluster's members by port, as one living node sees them. */
export async function membersOf(environment: Environment, password: string, asked = environment.nodePorts[0]!): Promise<ReadonlyMap<number, MemberView>> {
  const text = await askNode(environment, password, asked, "CLUSTER", "NODES");
  return new Map(parseClusterNodes(String(text)).map((member) => [Number(member.address.split(":")[1]), member]));
}
