import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:tls";
import { parseCommandReply } from "../../../proxy/routing/command-table.ts";
import type { CommandEntry } from "../../../proxy/routing/command-table.ts";
import { decodeReply } from "../../../proxy/resp/reply-decoder.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import type { TestCluster } from "../../support/redis-cluster.ts";
import { elementsOf, errorReply, freedoms, repliesTo } from "./replies.ts";
import type { Freedom } from "./replies.ts";
import { TAGS } from "./commands.ts";
import type { Command } from "./commands.ts";

/**
 * What the guide's table says of commands that concern more than one node, done by hand: each is asked of every master, one
 * after the other. By name; subcommands as `container|sub`.
 */
const EVERYWHERE: Readonly<Record<string, (replies: Buffer[]) => Buffer>> = {
  "dbsize": (replies) => Buffer.from(`:${replies.reduce((sum, reply) => sum + Number(reply.subarray(1, -2)), 0)}\r\n`),
  "keys": (replies) => array(replies.flatMap((reply) => elementsOf(reply)!)),
  "flushdb": (replies) => replies[0]!,
  "flushall": (replies) => replies[0]!,
  "script|load": (replies) => replies[0]!,
  "script|flush": (replies) => replies[0]!,
  "script|exists": ([first, ...others]) =>
    array(elementsOf(first!)!.map((bit, i) => (others.every((other) => elementsOf(other)![i]!.equals(bit)) ? bit : Buffer.from(":0\r\n")))),
  // Beyond the guide's table: functions are the cluster's, not a node's.
  ...Object.fromEntries(["load", "delete", "flush", "restore", "kill"].map((sub) => [`function|${sub}`, (replies: Buffer[]) => replies[0]!])),
};

interface Node {
  readonly connection: RawConnection;
  /** Settles with the last reply asked for. */
  last: Promise<unknown>;
}

/**
 * A cluster as its nodes know it: each command goes to a node, and where that names another, there. What the proxy adds by the
 * guide's table is done one step after the other.
 */
export class DirectCluster {
  /** By port. */
  readonly #nodes = new Map<number, Node>();
  /** The owners of the tags' slots. */
  readonly #owners = new Map<string, Node>();

  static async open(cluster: TestCluster): Promise<DirectCluster> {
    const direct = new DirectCluster();
    for (const { host, port } of cluster.nodes) {
      const socket = connect({ host, port, ...cluster.tls(), checkServerIdentity: () => undefined });
      await once(socket, "secureConnect");
      const connection = RawConnection.over(socket);
      await connection.ask("AUTH", "alice", cluster.passwords["alice"]!);
      direct.#nodes.set(port, { connection, last: Promise.resolve() });
    }
    for (const tag of TAGS) direct.#owners.set(tag, (await direct.#follow([Buffer.from("GET"), Buffer.from(`{${tag}}`)])).node);
    assert.equal(new Set(direct.#owners.values()).size, cluster.nodes.length, "nodes that own a tag's slot");
    return direct;
  }

  /** What the server says of its commands, and of their replies. */
  async commands(): Promise<{ entries: CommandEntry[]; freedoms: Map<string, Freedom> }> {
    const reply = decodeReply(await ask(this.#any, [Buffer.from("COMMAND")]));
    return { entries: parseCommandReply(reply, new Set()), freedoms: freedoms(reply) };
  }

  /** The replies to commands, executed as if each had waited for the one before it. */
  async runAll(commands: readonly Command[]): Promise<Buffer[]> {
    const replies: Promise<Buffer>[] = [];
    for (const command of commands) {
      // A command whose first argument is a key cannot meet those for other nodes, and one that has something else there does
      // nothing. Any other waits for all before it, and is waited for.
      const tag = everywhere(command) === undefined ? /^\{(.)\}/.exec(command[1]?.toString("latin1", 0, 3) ?? "")?.[1] : undefined;
      const owner = this.#owners.get(tag ?? "");
      if (owner === undefined) {
        await Promise.all(replies);
        replies.push(Promise.resolve(await this.run(command)));
      } else replies.push(this.#follow(command, owner).then(({ reply }) => reply));
    }
    return Promise.all(replies);
  }

  /** The reply to one command. */
  async run(command: Command): Promise<Buffer> {
    if (nameOf(command) === "mget" && command.length > 1) return this.#getEach(command.slice(1));
    const merge = everywhere(command);
    if (merge === undefined) return (await this.#follow(command)).reply;
    const replies: Buffer[] = [];
    for (const node of this.#nodes.values()) replies.push(await ask(node, command));
    return replies.find(errorReply) ?? merge(replies);
  }

  close(): void {
    for (const { connection } of this.#nodes.values()) connection.close();
  }

  get #any(): Node {
    return this.#nodes.values().next().value!;
  }

  async #follow(command: Command, first = this.#any): Promise<{ reply: Buffer; node: Node }> {
    for (let node = first; ; ) {
      const reply = await ask(node, command);
      const moved = /^-MOVED \d+ .*:(\d+)\r\n$/.exec(reply.toString("latin1", 0, 100));
      if (moved === null) return { reply, node };
      node = this.#nodes.get(Number(moved[1]))!;
    }
  }

  async #getEach(keys: Command): Promise<Buffer> {
    const replies: Buffer[] = [];
    for (const key of keys) replies.push((await this.#follow([Buffer.from("GET"), key])).reply);
    const failure = replies.find(errorReply);
    return failure === undefined ? array(replies) : Buffer.from(`-ERR Teleport: ${failure.toString("latin1", 1)}`, "latin1");
  }
}

async function ask(node: Node, command: Command): Promise<Buffer> {
  node.connection.send(...command);
  const reply = node.last.then(() => repliesTo(command, node.connection));
  node.last = reply;
  return reply;
}

function nameOf(command: Command): string {
  return command[0]!.toString("latin1").toLowerCase();
}

function everywhere(command: Command): ((replies: Buffer[]) => Buffer) | undefined {
  const name = nameOf(command);
  const sub = command.length > 1 ? `${name}|${command[1]!.toString("latin1").toLowerCase()}` : name;
  return EVERYWHERE[sub] ?? EVERYWHERE[name] ?? (name === "mget" ? array : undefined);
}

function array(elements: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements]);
}
