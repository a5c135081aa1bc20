import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parse, stringify } from "yaml";
import type { StackOutputs } from "../../toolchain/commands/lib/outputs.ts";
import { findFreePorts } from "./free-ports.ts";
import { waitFor } from "./wait-for.ts";

/** How a program ended, and what it wrote. */
export interface RunResult {
  /** Exit code; null where a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a program started for good has left to find it by: the first two fields of its record file. */
export interface RecordedProcess {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat; with the pid, it tells one process from all later ones. */
  readonly startTime: string;
}

/** What an update has done with one resource. */
export interface ResourceChange {
  /** Pulumi's name of it: `create`, `update`, `delete`, `replace` and more. */
  readonly operation: string;
  /** The resource's name, without its type and parents. */
  readonly resource: string;
}

interface Checkpoint {
  readonly resources?: readonly { readonly urn: string }[];
  readonly pending_operations?: readonly { readonly resource: { readonly urn: string } }[];
}

interface EngineEvent {
  readonly resOutputsEvent?: { readonly metadata: { readonly op: string; readonly urn: string } };
}

const project = path.resolve(import.meta.dirname, "../..");
/** What a clone of the project holds that a stack needs, apart from the packages and the engine, which are linked. */
const sources = ["Pulumi.yaml", "package.json", "package-lock.json", "tsconfig.json", "components", "proxy", "stacks", "toolchain"];
/** What Node has compiled of the packages. */
const compiled = ".pulumi/compiled";
/** The proxy's bundle, and what it was made from. */
const bundled = "dist";
const runLimitMs = 180_000;
/** Short, to catch a moment of a run. */
const lookIntervalMs = 5;
const endLimitMs = 20_000;
/** Diagnostics come last. */
const quotedCharacters = 3000;
const maxOutputBytes = 64 * 1024 * 1024;

const environments = new Set<Environment>();
process.on("exit", () => {
  for (const environment of environments) environment.discard();
});
// Without a handler these end the process at once, and the handler above is not run.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1));

/**
 * A real stack of this project's own program, run by the real engine: in a copy of the checkout, with a state, a
 * passphrase, a configuration, ports and a directory of its own, so that nothing of the checkout is touched.
 */
export class Environment {
  readonly stack = "dev";
  /** The copy of the checkout; commands of the project are run here. */
  readonly project: string;
  /** Where the stack keeps its nodes, its proxy and its client's files. */
  readonly directory: string;
  readonly nodePorts: readonly number[];
  readonly proxyPort: number;
  readonly adminPort: number;
  readonly #root: string;
  readonly #hostOf: Map<number, string>;

  private constructor(root: string, nodePorts: readonly number[], hosts: readonly string[], [proxyPort, adminPort]: readonly number[]) {
    this.#root = root;
    this.project = path.join(root, "project");
    this.directory = path.join(root, "environment");
    this.nodePorts = nodePorts;
    this.#hostOf = new Map(nodePorts.map((port, index) => [port, hosts[index % hosts.length]!]));
    this.proxyPort = proxyPort!;
    this.adminPort = adminPort!;
  }

  /** Makes the environment and brings it up (about 15 s). `stop` must be called in the end. */
  static async start(overrides: Readonly<Record<string, unknown>> = {}, hosts?: readonly string[]): Promise<Environment> {
    const environment = await Environment.prepare(overrides, hosts);
    try {
      await environment.succeed("up", "--yes", "--skip-preview");
    } catch (error) {
      environment.discard();
      throw error;
    }
    return environment;
  }

  /**
   * Makes the environment with an empty stack: nothing of it runs. `stop` must be called in the end.
   * @param overrides stack configuration by key, without the project's name
   * @param hosts IP addresses of this machine, dealt to the nodes in turn
   */
  static async prepare(overrides: Readonly<Record<string, unknown>> = {}, hosts: readonly string[] = ["127.0.0.1"]): Promise<Environment> {
    const nodePorts = await findFreePorts(6, 10_000);
    const root = realpathSync(mkdtempSync(path.join(tmpdir(), "redis-access-environment-")));
    const environment = new Environment(root, nodePorts, hosts, await findFreePorts(2));
    environments.add(environment);
    try {
      environment.#copyProject();
      environment.configure(overrides);
      await environment.succeed("stack", "init", environment.stack);
    } catch (error) {
      environment.discard();
      throw error;
    }
    return environment;
  }

  /** Says of further nodes what IP address of this machine they have. */
  place(ports: readonly number[], host: string): void {
    for (const port of ports) this.#hostOf.set(port, host);
  }

  /** IP address of the node with this port; 127.0.0.1 unless it was said to be another. */
  hostOf(port: number): string {
    return this.#hostOf.get(port) ?? "127.0.0.1";
  }

  /** `IP:port` of a node. */
  nameOf(port: number): string {
    return `${this.hostOf(port)}:${port}`;
  }

  /** Writes the stack's configuration: the environment's own ports and directory, and what is given, which goes before them. */
  configure(overrides: Readonly<Record<string, unknown>> = {}): void {
    const file = path.join(this.project, "stacks", `Pulumi.${this.stack}.yaml`);
    const before = existsSync(file) ? (parse(readFileSync(file, "utf8")) as Readonly<Record<string, unknown>>) : {};
    const config = {
      directory: this.directory,
      nodes: this.nodePorts.map((port) => this.nameOf(port)),
      proxyListen: `127.0.0.1:${this.proxyPort}`,
      adminListen: `127.0.0.1:${this.adminPort}`,
      nodeTimeoutMs: 1000,
      ...overrides,
    };
    writeFileSync(file, stringify({ ...before, config: Object.fromEntries(Object.entries(config).map(([name, value]) => [`redis-access:${name}`, value])) }));
  }

  /** Runs Pulumi to its end, however that is. */
  pulumi(...args: string[]): Promise<RunResult> {
    return this.run(path.join(this.project, "toolchain/launcher/pulumi"), [...args, "--non-interactive", "--color", "never"]);
  }

  /**
   * Runs Pulumi and returns what it wrote to standard output.
   * @throws Error with the end of what it wrote, where it failed
   */
  async succeed(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.pulumi(...args);
    if (status !== 0) throw new Error(`pulumi ${args.join(" ")} ended with exit code ${status ?? "none"}:\n${(stdout + stderr).slice(-quotedCharacters)}`);
    return stdout;
  }

  /**
   * Makes the stack as declared, mending what is not: `pulumi up --refresh`.
   * @throws Error with the end of what it wrote, where it failed
   */
  async mend(): Promise<readonly ResourceChange[]> {
    const log = path.join(this.#root, "events.jsonl");
    rmSync(log, { force: true });
    await this.succeed("up", "--refresh", "--yes", "--skip-preview", "--event-log", log);
    const events = readFileSync(log, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as EngineEvent);
    const done = events.flatMap(({ resOutputsEvent: event }) => (event === undefined ? [] : [event.metadata]));
    return done.filter(({ op }) => !["same", "refresh", "read"].includes(op)).map(({ op, urn }) => ({ operation: op, resource: urn.split("::").at(-1)! }));
  }

  /** Runs a command of the project (toolchain/commands), as its npm script does: `start`, `down`, `status`, `outputs`. */
  command(name: string, ...args: string[]): Promise<RunResult> {
    return this.run(process.execPath, [path.join(this.project, "toolchain/commands", `${name}.ts`), ...args]);
  }

  /** Runs a program in the project's directory, with this stack's state and passphrase. */
  run(program: string, args: readonly string[]): Promise<RunResult> {
    return new Promise((resolve) => {
      execFile(program, args, { cwd: this.project, env: this.#variables(), maxBuffer: maxOutputBytes, timeout: runLimitMs }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : typeof error.code === "number" ? error.code : null, stdout, stderr });
      });
    });
  }

  /**
   * Runs Pulumi until `when` holds, and kills it then (SIGKILL), wherever it is.
   * @param victims `all` that belongs to the run, as a power cut or the end of a container does, but not the programs that it
   *   has started for good; or the `engine` alone, as the kernel does when memory is short. They are gone when this returns.
   * @throws Error it ended before, or did not get there
   */
  async interrupt(what: string, when: () => boolean, victims: "all" | "engine", ...args: string[]): Promise<void> {
    await this.#interrupt(what, when, victims, path.join(this.project, "toolchain/launcher/pulumi"), [...args, "--non-interactive", "--color", "never"]);
  }

  /** As `interrupt`, of a command of the project and all that it has begun. */
  async interruptCommand(what: string, when: () => boolean, name: string, ...args: string[]): Promise<void> {
    await this.#interrupt(what, when, "all", process.execPath, [path.join(this.project, "toolchain/commands", `${name}.ts`), ...args]);
  }

  async #interrupt(what: string, when: () => boolean, victims: "all" | "engine", program: string, args: readonly string[]): Promise<void> {
    const child = spawn(program, args, { cwd: this.project, env: this.#variables(), detached: true, stdio: "ignore" });
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    try {
      await waitFor(what, runLimitMs, () => hasEnded() || when(), lookIntervalMs);
      if (hasEnded()) throw new Error(`${path.basename(program)} ${args.join(" ")} ended before ${what}`);
    } finally {
      child.kill("SIGKILL");
      await waitFor("the killed run is gone", endLimitMs, () => {
        const left = victims === "all" ? sessionMembers(child.pid!) : [];
        for (const pid of left) killIfThere(pid);
        return left.length === 0 && hasEnded();
      }, lookIntervalMs);
    }
  }

  /** The stack's outputs, with its secrets. */
  async outputs(): Promise<Required<StackOutputs>> {
    return JSON.parse(await this.succeed("stack", "output", "--json", "--show-secrets")) as Required<StackOutputs>;
  }

  /** The stack's state as it is stored, with secrets encrypted. */
  state(): string {
    return readFileSync(path.join(this.project, `.pulumi/stacks/redis-access/${this.stack}.json`), "utf8");
  }

  /** What the stored state holds: names of resources that are made, and of those that a run was at work on when it ended. */
  checkpoint(): { readonly made: ReadonlySet<string>; readonly pending: ReadonlySet<string> } {
    const { latest } = (JSON.parse(this.state()) as { checkpoint: { latest: Checkpoint | null } }).checkpoint;
    const nameOf = ({ urn }: { readonly urn: string }): string => urn.split("::").at(-1)!;
    return {
      made: new Set((latest?.resources ?? []).map(nameOf)),
      pending: new Set((latest?.pending_operations ?? []).map(({ resource }) => nameOf(resource))),
    };
  }

  /**
   * The URN of a resource by its name.
   * @throws Error there is none in the stored state, or several
   */
  urnOf(name: string): string {
    const { latest } = (JSON.parse(this.state()) as { checkpoint: { latest: Checkpoint | null } }).checkpoint;
    const urns = (latest?.resources ?? []).map(({ urn }) => urn).filter((urn) => urn.endsWith(`::${name}`));
    if (urns.length !== 1) throw new Error(`there are ${urns.length} resources ${name}`);
    return urns[0]!;
  }

  /** Processes that work anywhere in this environment, recorded or not. */
  inhabitants(): readonly number[] {
    return processesIn(this.#root);
  }

  /** Every living process that the stack has recorded, by its record's path from the environment's directory. */
  processes(): ReadonlyMap<string, RecordedProcess> {
    const living = new Map<string, RecordedProcess>();
    if (!existsSync(this.directory)) return living;
    for (const name of readdirSync(this.directory, { recursive: true, encoding: "utf8" }).filter((entry) => entry.endsWith(".process")).sort()) {
      const [pid, startTime] = readFileSync(path.join(this.directory, name), "utf8").split(" ");
      if (startTime !== undefined && startTimeOf(Number(pid)) === startTime) living.set(name, { pid: Number(pid), startTime });
    }
    return living;
  }

  /** Ends all that the stack has started, and removes the environment with its state. What is tested of `destroy` is not tested here. */
  stop(): Promise<void> {
    this.discard();
    return Promise.resolve();
  }

  /** As `stop`, at once: for the end of a test process. */
  discard(): void {
    if (!environments.delete(this)) return;
    // Not by the records: a test may have deleted them.
    for (const pid of processesIn(this.#root)) killIfThere(pid);
    this.#keepCompiled();
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The first environment of a new checkout leaves what Node has compiled of the packages to those after it. */
  #keepCompiled(): void {
    const [own, kept] = [path.join(this.project, compiled), path.join(project, compiled)];
    if (existsSync(kept) || !existsSync(own)) return;
    const temporary = `${kept}.${process.pid}`;
    cpSync(own, temporary, { recursive: true });
    try {
      renameSync(temporary, kept);
    } catch {
      rmSync(temporary, { recursive: true }); // another one was first
    }
  }

  #copyProject(): void {
    mkdirSync(path.join(this.project, ".pulumi/home"), { recursive: true });
    for (const name of sources) cpSync(path.join(project, name), path.join(this.project, name), { recursive: true });
    for (const name of readdirSync(path.join(this.project, "stacks"))) {
      if (/^Pulumi\..*\.yaml$/.test(name)) rmSync(path.join(this.project, "stacks", name));
    }
    // Of each run the engine keeps an encrypted log, which nobody reads here and which takes a fifth of the run's processor time.
    // It does without where it cannot make its directory; there is no other switch.
    writeFileSync(path.join(this.project, ".pulumi/home/logs"), "");
    // Copies: what is made of the sources above must not pile up in the checkout.
    for (const name of [compiled, bundled]) {
      if (existsSync(path.join(project, name))) cpSync(path.join(project, name), path.join(this.project, name), { recursive: true });
    }
    for (const name of ["node_modules", ".pulumi/bin", ".pulumi/home/plugins"]) {
      if (existsSync(path.join(project, name))) symlinkSync(path.join(project, name), path.join(this.project, name));
    }
  }

  #variables(): NodeJS.ProcessEnv {
    // The backend is the one that the launcher chooses for whoever is not logged in to another.
    // The flag --event-log is one of those that Pulumi shows to programs only.
    return { ...process.env, PULUMI_DEBUG_COMMANDS: "true", PULUMI_BACKEND_URL: `file://${this.project}?metadata=skip`, PULUMI_CONFIG_PASSPHRASE: "a passphrase of tests" };
  }
}

function statOf(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

function allProcesses(): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Living processes of a session (proc(5): field 6 of stat): of all that a program started, but for what began a session of its own. */
function sessionMembers(session: number): number[] {
  return allProcesses().filter((pid) => {
    const stat = statOf(pid);
    return stat !== undefined && stat[0] !== "Z" && stat[3] === String(session);
  });
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has just ended
  }
}

/** When a process was started, in the terms of its record; undefined where there is none any more, or only its exit status. */
function startTimeOf(pid: number): string | undefined {
  const fields = statOf(pid);
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}

/** Processes whose working directory is, or was, in this directory. */
function processesIn(directory: string): number[] {
  return allProcesses().filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${directory}/`);
    } catch {
      return false;
    }
  });
}
