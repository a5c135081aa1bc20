import { isIP } from "node:net";
import { InvalidValueError } from "./invalid-value-error.ts";
import { busPortOffset } from "./redis-conf.ts";

/** Where one node listens: an IP address and its TLS port. */
export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** The declared shape of a cluster: its nodes, masters and replicas together. */
export interface ClusterDeclaration {
  readonly nodes: readonly NodeAddress[];
  /** Replicas of each master, at least 1. */
  readonly replicasPerMaster: number;
}

/** Six nodes on this machine, as the guide numbers them. */
export const defaultNodes: readonly NodeAddress[] = [7001, 7002, 7003, 7004, 7005, 7006].map((port) => ({ host: "127.0.0.1", port }));

/** Fewer masters cannot agree that one of them has failed; redis-cli refuses them too. */
export const minimumMasters = 3;

const highestPort = 65_535 - busPortOffset;

/**
 * Parses `IP:port`, with an IPv6 address in brackets.
 * @throws {InvalidValueError} with the property that holds the text
 */
export function parseNodeAddress(property: string, text: string): NodeAddress {
  const address = splitAddress(property, text, "127.0.0.1:7001");
  checkAddress(property, address);
  return address;
}

/**
 * Parses `IP:port` of a listener, with an IPv6 address in brackets; 0.0.0.0 and [::] stand for all addresses of the machine.
 * @throws {InvalidValueError} with the property that holds the text
 */
export function parseAddress(property: string, text: string): NodeAddress {
  const address = splitAddress(property, text, "127.0.0.1:7379");
  if (isIP(address.host) === 0) throw new InvalidValueError(property, `${JSON.stringify(address.host)} is not an IP address; expected IP:port, such as 127.0.0.1:7379`);
  if (address.port < 1 || address.port > 65_535) throw new InvalidValueError(property, `port ${address.port} is out of range; expected 1 to 65535`);
  return address;
}

function splitAddress(property: string, text: string, example: string): NodeAddress {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) throw new InvalidValueError(property, `${JSON.stringify(text)} is not an address; expected IP:port, such as ${example}`);
  return { host, port: Number(match[3]) };
}

/** `IP:port` as redis-cli and `CLUSTER NODES` write it: an IPv6 address stands without brackets. */
export function nodeName({ host, port }: NodeAddress): string {
  return `${host}:${port}`;
}

/** Each of the nodes once, in the order in which they first stand. */
export function distinctNodes(nodes: readonly NodeAddress[]): NodeAddress[] {
  return [...new Map(nodes.map((node) => [nodeName(node), node])).values()];
}

/**
 * Refuses a cluster that cannot be formed or could not fail over.
 * @returns the number of masters
 * @throws {InvalidValueError} too few nodes, replicas that do not fit, an address twice, no IP address, a port out of range or taken by a bus
 */
export function checkClusterDeclaration({ nodes, replicasPerMaster }: ClusterDeclaration): number {
  if (!Number.isInteger(replicasPerMaster) || replicasPerMaster < 1) {
    throw new InvalidValueError("replicasPerMaster", `${replicasPerMaster} does not fit; expected a whole number from 1, because a master without replica takes its slots down with it`);
  }
  nodes.forEach((node, index) => {
    checkAddress(`nodes[${index}]`, node);
  });
  checkPortsApart(nodes);
  return masterCount(nodes.length, replicasPerMaster);
}

/**
 * Refuses nodes of one machine that have the same port: their directories are named by it.
 * @throws {InvalidValueError}
 */
export function checkPortsDiffer(nodes: readonly NodeAddress[]): void {
  const seen = new Map<number, number>();
  nodes.forEach(({ port }, index) => {
    const other = seen.get(port);
    if (other !== undefined) throw new InvalidValueError(`nodes[${index}]`, `port ${port} is already that of nodes[${other}]; on one machine each node needs a port of its own`);
    seen.set(port, index);
  });
}

function masterCount(nodes: number, replicasPerMaster: number): number {
  const share = replicasPerMaster + 1;
  const masters = Math.floor(nodes / share);
  if (masters < minimumMasters) {
    throw new InvalidValueError(
      "nodes",
      `${nodes} nodes are too few; expected at least ${minimumMasters * share}: ${minimumMasters} masters with ${replicasPerMaster} replica(s) each`,
    );
  }
  if (nodes % share !== 0) {
    throw new InvalidValueError(
      "replicasPerMaster",
      `${replicasPerMaster} does not fit ${nodes} nodes; expected a multiple of ${share} nodes, such as ${masters * share} or ${(masters + 1) * share}`,
    );
  }
  return masters;
}

function checkAddress(property: string, { host, port }: NodeAddress): void {
  // redis-cli --cluster create takes IP addresses only, and nodes gossip addresses, never names.
  if (isIP(host) === 0) throw new InvalidValueError(property, `${JSON.stringify(host)} is not an IP address; nodes know each other by IP address, not by name`);
  if (/^(0\.0\.0\.0|::|::0|22[4-9]\..*|23\d\..*|ff.*:.*|255\.255\.255\.255)$/i.test(host)) {
    throw new InvalidValueError(property, `${host} is not the address of one machine; expected the address that the other nodes reach it by`);
  }
  if (!Number.isInteger(port) || port < 1 || port > highestPort) {
    throw new InvalidValueError(property, `port ${port} is out of range; expected 1 to ${highestPort}, because the cluster bus listens on port + ${busPortOffset}`);
  }
}

function checkPortsApart(nodes: readonly NodeAddress[]): void {
  const taken = new Map<string, string>();
  const take = (index: number, { host }: NodeAddress, port: number, use: string): void => {
    const key = `${host.toLowerCase()} ${port}`;
    const other = taken.get(key);
    if (other !== undefined) throw new InvalidValueError(`nodes[${index}]`, `${use} ${host}:${port} is already ${other}; expected one of its own`);
    taken.set(key, `the ${use} of nodes[${index}]`);
  };
  nodes.forEach((node, index) => {
    take(index, node, node.port, "port");
  });
  nodes.forEach((node, index) => {
    take(index, node, node.port + busPortOffset, "cluster bus port");
  });
}
