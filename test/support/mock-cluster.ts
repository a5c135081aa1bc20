import { connect, createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { Database } from "../../proxy/cluster/database.ts";
import type { DatabaseOptions } from "../../proxy/cluster/database.ts";
import { GUIDE_PROFILE } from "../../proxy/routing/profile.ts";
import { slotOf, SLOTS } from "../../proxy/routing/slot.ts";
import type { Session } from "../../proxy/server/session.ts";
import { dialPlain } from "../../proxy/server/upstream-tls.ts";
import { openSession } from "./bare-session.ts";
import type { SessionSettings } from "./bare-session.ts";
import { RawConnection } from "./raw-connection.ts";
import { MockNode } from "./mock-node.ts";
import type { Script } from "./mock-node.ts";
import { resp } from "./resp.ts";

/** The commands that mock nodes know, in the six-element form of servers before Redis 7.0: name, arity, flags, first and last key. */
const commands: readonly (readonly [string, number, string, number, number])[] = [
  ["get", 2, "readonly", 1, 1],
  ["set", -3, "write", 1, 1],
  ["incr", 2, "write", 1, 1],
  ["append", 3, "write", 1, 1],
  ["del", -2, "write", 1, -1],
  ["mget", -2, "readonly", 1, -1],
  ["blpop", -3, "write blocking", 1, -2],
  ["lpush", -3, "write", 1, 1],
  ["dbsize", 1, "readonly", 0, 0],
  ["keys", 2, "readonly", 0, 0],
  ["flushall", -1, "write", 0, 0],
  ["ping", -1, "fast", 0, 0],
  ["echo", 2, "fast", 0, 0],
  ["publish", 3, "pubsub", 0, 0],
  ["subscribe", -2, "pubsub", 0, 0],
  ["unsubscribe", -1, "pubsub", 0, 0],
];

/** A client of a session, and the session. */
export interface MockClient {
  readonly client: RawConnection;
  readonly session: Session;
}

/** A cluster of mock nodes that share the slots evenly, and the proxy's own parts in front of it, without TLS or a process of its own. */
export class MockCluster {
  readonly nodes: readonly MockNode[];
  /** What CLUSTER NODES says; slots by node. */
  epoch = 1;
  readonly owners: number[];
  #databases: Database[] = [];
  #servers: Server[] = [];
  #clients: RawConnection[] = [];
  #lastId = 0;

  private constructor(nodes: readonly MockNode[]) {
    this.nodes = nodes;
    this.owners = Array.from({ length: SLOTS }, (_, slot) => Math.floor((slot * nodes.length) / SLOTS));
    nodes.forEach((node) => (node.script = this.#answer));
  }

  static async start(count = 2): Promise<MockCluster> {
    return new MockCluster(await Promise.all(Array.from({ length: count }, () => MockNode.start(() => undefined))));
  }

  /** The slot of a key. */
  slot(key: string): number {
    return slotOf(Buffer.from(key), 0, key.length);
  }

  /** A key that belongs to node `index`. */
  key(index: number, prefix = "k"): string {
    for (let i = 0; ; i++) if (this.owners[this.slot(`${prefix}${i}`)] === index) return `${prefix}${i}`;
  }

  /** Has node `index` answer by `script`, and as any node does where that says null. */
  on(index: number, script: (...args: Parameters<Script>) => ReturnType<Script> | null): void {
    this.nodes[index]!.script = (command, connection) => {
      const answer = script(command, connection);
      return answer === null ? this.#answer(command, connection) : answer;
    };
  }

  /** Where a redirection sends clients to: `MOVED` or `ASK`, for the slot of `key`. */
  redirection(word: "MOVED" | "ASK", key: string, index: number): string {
    return `-${word} ${this.slot(key)} 127.0.0.1:${this.nodes[index]!.address.port}\r\n`;
  }

  database(options: Partial<DatabaseOptions> = {}): Database {
    const database = new Database({
      name: "mock",
      mode: "cluster",
      seeds: [this.nodes[0]!.address],
      profile: GUIDE_PROFILE,
      dial: dialPlain,
      connectTimeoutMs: 1_000,
      retryBudgetMs: 2_000,
      topologyRefreshMs: 60_000,
      // The proxy's own questions have connections of their own: a script that is late with an answer is late for clients only.
      serviceUser: { user: "proxy", auth: [Buffer.from("proxy"), Buffer.from("secret")] },
      log: () => undefined,
      ...options,
    });
    database.start();
    this.#databases.push(database);
    return database;
  }

  /** A client that has not logged in. */
  async connect(database: Database, settings: SessionSettings = {}): Promise<MockClient> {
    const id = ++this.#lastId;
    const made = Promise.withResolvers<Session>();
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      made.resolve(openSession(id, socket, database, settings));
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = RawConnection.over(connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port }));
    this.#clients.push(client);
    return { client, session: await made.promise };
  }

  /** A client that has logged in as alice. */
  async open(database: Database, settings: SessionSettings = {}): Promise<MockClient> {
    const opened = await this.connect(database, settings);
    const reply = await opened.client.ask("AUTH", "alice", "secret");
    if (reply !== "+OK\r\n") throw new Error(`AUTH: ${reply}`);
    return opened;
  }

  close(): void {
    for (const client of this.#clients) client.close();
    for (const database of this.#databases) database.close();
    for (const server of this.#servers) server.close();
    for (const node of this.nodes) node.stop();
  }

  #answer: Script = (command) => {
    const [name = "", first = ""] = command;
    switch (name.toUpperCase()) {
      case "COMMAND":
        return first === "" ? resp(commands.map(([word, arity, flags, from, to]) => [word, arity, flags.split(" "), from, to, from > 0 ? 1 : 0])) : "*1\r\n*-1\r\n";
      case "CLUSTER":
        return this.clusterNodes();
      case "PING":
        return "+PONG\r\n";
      case "GET":
        return resp(`value of ${first}`);
      case "DBSIZE":
        return ":1\r\n";
      default:
        return "+OK\r\n";
    }
  };

  /** A node's answer to CLUSTER NODES, as things are now. */
  clusterNodes(): string {
    const lines = this.nodes.map((node, index) => {
      const { host, port } = node.address;
      return `${String(index).repeat(40)} ${host}:${port}@${port} master - 0 0 ${this.epoch} connected ${this.#ranges(index).join(" ")}`;
    });
    return resp(lines.join("\n"));
  }

  #ranges(index: number): string[] {
    const ranges: string[] = [];
    for (let first = 0; first < SLOTS; first++) {
      if (this.owners[first] !== index) continue;
      let last = first;
      while (this.owners[last + 1] === index) last++;
      ranges.push(`${first}-${last}`);
      first = last;
    }
    return ranges;
  }
}
