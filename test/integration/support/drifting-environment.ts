import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { proxyNodeArguments } from "../../../components/proxy-bundle.ts";
import { parseClusterNodes } from "../../../components/cluster-nodes.ts";
import type { MemberView } from "../../../components/formation-plan.ts";
import { launch, stop } from "../../../components/provider/launch.ts";
import { withNode } from "../../../components/provider/node-client.ts";
import type { NodeAccess } from "../../../components/provider/node-client.ts";
import { findRecorded } from "../../../components/provider/process-record.ts";
import type { Difference } from "../../../toolchain/commands/lib/drift-report.ts";
import { Child } from "../../support/child.ts";
import { Environment } from "../../support/environment.ts";
import { findFreePorts } from "../../support/free-ports.ts";
import { startByHand } from "../../support/node-by-hand.ts";
import { waitFor } from "../../support/wait-for.ts";

const limitMs = 30_000;

/** What `npm run drift -- --json` answers. */
export interface DriftReport {
  readonly drift: boolean;
  readonly problem: string;
  readonly milliseconds: number;
  readonly differences: readonly Difference[];
}

/** Ports of a master and its replicas. */
export interface Shard {
  readonly master: number;
  readonly replicas: readonly number[];
  readonly firstSlot: number;
}

/** A node that belongs to nobody's declaration; it ends with the environment. */
export interface ForeignNode {
  readonly port: number;
  end(): Promise<void>;
}

/** A real environment, and the hands that change it behind Pulumi's back. */
export class DriftingEnvironment {
  readonly environment: Environment;
  readonly #password: string;
  /** A node's identity as it was declared, to log in with whatever becomes of the files. */
  readonly #pem: { readonly ca: string; readonly cert: string; readonly key: string };

  private constructor(environment: Environment, password: string) {
    this.environment = environment;
    this.#password = password;
    const read = (name: string): string => readFileSync(this.at(environment.nodePorts[0]!, name), "utf8");
    this.#pem = { ca: read("ca.crt"), cert: read("server.crt"), key: read("server.key") };
  }

  /** @param hosts as those of `Environment.prepare` */
  static async start(hosts?: readonly string[]): Promise<DriftingEnvironment> {
    // Otherwise Redis itself may send a replica back that was turned to another master, before anybody has looked.
    // A busy machine must not have a replica take over by itself: what follows from that is not what was injected.
    const environment = await Environment.start({ nodeTimeoutMs: 3000, redisParameters: { "cluster-allow-replica-migration": false } }, hosts);
    return new DriftingEnvironment(environment, (await environment.outputs()).passwords["alice"]!);
  }

  /** Absolute path of a node's file, or of what is named from the environment's directory. */
  at(place: number | "proxy" | "client", name: string): string {
    return path.join(this.environment.directory, typeof place === "number" ? `nodes/${place}` : place, name);
  }

  /** Sends commands to a node as alice, one after the other. */
  async tell(port: number, ...commands: readonly (readonly [string, ...string[]])[]): Promise<unknown[]> {
    return withNode(this.#accessOf(port), async (call) => {
      const replies: unknown[] = [];
      for (const [command, ...args] of commands) replies.push(await call(command, ...args));
      return replies;
    });
  }

  #accessOf(port: number): NodeAccess {
    return { host: this.environment.hostOf(port), port, caFile: "", certFile: "", keyFile: "", pem: this.#pem, user: "alice", password: this.#password };
  }

  /** Writes `key:0` to `key:<count - 1>`, each to the master that owns it. */
  async fill(count: number): Promise<void> {
    const shards = await this.shards();
    await Promise.all(shards.map(({ master }) => withNode(this.#accessOf(master), async (call) => {
      // A master refuses those that do not belong to it.
      for (let index = 0; index < count; index++) await call("SET", `key:${index}`, "v").catch(() => undefined);
    })));
  }

  /** The members by port, as one node sees them. */
  async members(asked = this.environment.nodePorts[0]!): Promise<ReadonlyMap<number, MemberView>> {
    const [text] = await this.tell(asked, ["CLUSTER", "NODES"]);
    return new Map(parseClusterNodes(String(text)).map((member) => [Number(member.address.split(":")[1]), member]));
  }

  /** Port of each master, in the order of their slots, with the ports of its replicas. */
  async shards(): Promise<Shard[]> {
    const members = [...(await this.members())];
    const masters = members.filter(([, { slots }]) => slots > 0).sort(([, a], [, b]) => a.ranges[0]![0] - b.ranges[0]![0]);
    return masters.map(([master, { id, ranges }]) => ({ master, replicas: members.filter(([, { masterId }]) => masterId === id).map(([port]) => port), firstSlot: ranges[0]![0] }));
  }

  /** Looks for drift as an operator does. */
  async check(): Promise<DriftReport & { readonly status: number | null }> {
    const { status, stdout, stderr } = await this.environment.command("drift", "--json");
    try {
      return { status, ...(JSON.parse(stdout) as DriftReport) };
    } catch (cause) {
      throw new Error(`drift answered ${stdout.slice(-500)}${stderr.slice(-2000)}`, { cause });
    }
  }

  /** Ends a recorded process with SIGKILL. */
  async kill(record: string): Promise<void> {
    process.kill(this.environment.processes().get(record)!.pid, "SIGKILL");
    await waitFor("the killed process is gone", limitMs, () => !this.environment.processes().has(record));
  }

  /** Starts a recorded program anew while a file of it is another one, then puts the file back: only what runs differs. */
  async restartWith(record: string, file: string, change: (text: string) => string, command: { program: string; args: string[]; directory: string; logFile: string; environment?: Readonly<Record<string, string>> }): Promise<void> {
    const recordFile = path.join(this.environment.directory, record);
    const running = (await findRecorded(recordFile))!;
    const declared = readFileSync(file, "utf8");
    await stop(running, limitMs);
    writeFileSync(file, change(declared));
    await launch({ environment: {}, ...command, recordFile, fingerprint: running.fingerprint });
  }

  /** Starts a node with a declared node's certificate, of which no declaration knows. */
  async foreignNode(like: number): Promise<ForeignNode> {
    const [port] = await findFreePorts(1, 10_000);
    const conf = readFileSync(this.at(like, "redis.conf"), "utf8")
      .replace(/^tls-port .*$/m, `tls-port ${port!}`)
      .replace(/^(dir|logfile) .*\n/gm, "")
      .replace(/^cluster-config-file .*$/m, `cluster-config-file foreign-${port!}.conf`);
    const file = path.join(this.environment.directory, `foreign-${port!}.redis.conf`);
    writeFileSync(file, conf);
    const child = await this.startByHand(port!, [file, "--save", ""]);
    return { port: port!, end: () => child.stop() };
  }

  /** Starts a proxy by hand with the declared one's files, on ports of its own, and waits until it takes clients. */
  async secondProxy(): Promise<Child> {
    const { proxyPort, adminPort, project } = this.environment;
    const [port, admin] = await findFreePorts(2);
    const directory = this.at("proxy", "");
    const declared = readFileSync(this.at("proxy", "proxy.yaml"), "utf8");
    writeFileSync(this.at("proxy", "second.yaml"), declared.replace(`:${proxyPort}`, `:${port!}`).replace(`:${adminPort}`, `:${admin!}`));
    const child = new Child({ command: process.execPath, args: [...proxyNodeArguments, "proxy.mjs", "--config", "second.yaml"], directory, logFile: path.join(project, "second-proxy.log") });
    await waitFor("the second proxy is ready", limitMs, async () => {
      if (child.end !== undefined) throw new Error(`it has ended: ${child.log}`);
      return (await fetch(`http://127.0.0.1:${admin!}/readyz`)).ok;
    });
    return child;
  }

  /** Turns a replica to another master, and waits until it has copied that one: while it copies, that is seen too. */
  async turn(replica: number, master: number): Promise<void> {
    await this.tell(replica, ["CLUSTER", "REPLICATE", (await this.members()).get(master)!.id]);
    await waitFor("it has copied its master", limitMs, async () => String((await this.tell(replica, ["INFO", "replication"]))[0]).includes("master_link_status:up"));
  }

  /** Starts a redis-server by hand, and waits until it answers. */
  startByHand(port: number, args: readonly string[]): Promise<Child> {
    return startByHand(this.environment, port, args, () => this.tell(port, ["PING"]));
  }

  /** Moves slots from one master to another by hand. */
  async moveSlots(slots: readonly number[], from: number, to: number, leaveOpen = false): Promise<void> {
    const members = await this.members();
    const [source, target] = [members.get(from)!.id, members.get(to)!.id];
    const masters = [...members].filter(([, member]) => member.slots > 0).map(([port]) => port);
    for (const slot of slots.map(String)) {
      await this.tell(to, ["CLUSTER", "SETSLOT", slot, "IMPORTING", source]);
      await this.tell(from, ["CLUSTER", "SETSLOT", slot, "MIGRATING", target]);
      const [keys] = (await this.tell(from, ["CLUSTER", "GETKEYSINSLOT", slot, "100"])) as [string[]];
      if (keys.length > 0) await this.tell(from, ["MIGRATE", this.environment.hostOf(to), String(to), "", "0", "5000", "AUTH2", "alice", this.#password, "KEYS", ...keys]);
      if (leaveOpen) continue;
      for (const port of [to, from, ...masters]) await this.tell(port, ["CLUSTER", "SETSLOT", slot, "NODE", target]);
    }
  }

  /** A PEM that the stack's state holds as a secret, such as an authority's key. */
  async stateSecret(resource: string, output: string): Promise<string> {
    const { deployment } = JSON.parse(await this.environment.succeed("stack", "export", "--show-secrets")) as { deployment: { resources: { urn: string; outputs?: Record<string, unknown> }[] } };
    const value = deployment.resources.find(({ urn }) => urn.endsWith(`::${resource}`))?.outputs?.[output];
    const plain = typeof value === "object" && value !== null && "plaintext" in value ? (JSON.parse(String(value.plaintext)) as unknown) : value;
    return String(plain);
  }
}
