/** `npm run status`: tells what of a stack's environment runs, and how it is. Exit code 0 if all is well, else 1. */
import path from "node:path";

import { readCommandLine } from "./lib/command-line.ts";
import { nodeStatus, type NodeStatus } from "./lib/node-status.ts";
import { type StackOutputs, stackOutputs } from "./lib/outputs.ts";
import { proxyStatus, type ProxyStatus } from "./lib/proxy-status.ts";
import { run } from "./lib/run.ts";
import { stackState, type StackState } from "./lib/stack-state.ts";
import { say, styled, table } from "./lib/style.ts";

/** What `npm run status -- --json` prints. */
interface Status {
  readonly stack: StackState;
  readonly nodes: readonly NodeStatus[];
  readonly proxy?: ProxyStatus;
  readonly healthy: boolean;
}

const { stack, switches } = readCommandLine("npm run status", "Tells what runs: the nodes with their roles and health, the proxy, and the stack's state.\nExit code 0 if all is well, else 1.", {
  json: "print it as JSON",
});

await run(async () => {
  const status = await readStatus();
  if (switches.has("json")) say(JSON.stringify(status, null, 2));
  else show(status);
  process.exitCode = status.healthy ? 0 : 1;
});

async function readStatus(): Promise<Status> {
  const state = await stackState(stack);
  const outputs: StackOutputs = state.resources === 0 ? {} : await stackOutputs(stack, true);
  if (outputs.clientFiles === undefined) return { stack: state, nodes: [], healthy: false };
  // The client's files lie in <directory>/client.
  const directory = path.dirname(path.dirname(outputs.clientFiles.ca));
  const [username, password] = Object.entries(outputs.passwords ?? {})[0] ?? ["default", ""];
  const [proxy, ...nodes] = await Promise.all([
    proxyStatus(directory, outputs.connectionUri),
    ...(outputs.nodes ?? []).map((node) => nodeStatus(node, directory, { username, password })),
  ]);
  const healthy = state.state === "up" && proxy.health === "ready" && nodes.length > 0 && nodes.every(({ health }) => health === "ok");
  return { stack: state, nodes, proxy, healthy };
}

function show({ stack: state, nodes, proxy, healthy }: Status): void {
  const last = state.lastRun === undefined ? "" : `, last ${state.lastRun.kind} ${state.lastRun.result} at ${state.lastRun.endTime}`;
  say(`Stack ${state.name}: ${state.state}, ${state.resources} resources${last}`);
  if (proxy !== undefined) say(`Proxy ${proxy.uri ?? ""}: ${coloured(proxy.health, "ready")}`);
  if (nodes.length > 0) {
    say(table([["NODE", "ROLE", "HEALTH", "SLOTS"], ...nodes.map((node) => [`${node.host}:${node.port}`, node.role ?? "-", node.health, node.slots ?? ""])]));
  }
  if (!healthy) say(styled("yellow", `${state.resources === 0 ? "Nothing runs. To make it" : "Not all is well. To mend it"}: npm start -- --stack ${state.name}`));
}

function coloured(health: string, good: string): string {
  return styled(health === good ? "green" : "red", health);
}
