import assert from "node:assert/strict";
import type { ResourceChange } from "../../support/environment.ts";
import { DriftingEnvironment } from "./drifting-environment.ts";

/** One thing done behind Pulumi's back, and all that must come of it. */
export interface Kind {
  readonly name: string;
  inject(): void | Promise<void>;
  /** `<subject>: <thing>`, with what an update will do, and what the finding must say of the actual value. */
  readonly found: readonly (readonly [what: string, mend: string, actual: RegExp])[];
  /** `<operation> <resource>` */
  readonly mended: readonly string[];
  /** Records of processes that the update has started anew. */
  readonly restarted?: readonly string[];
}

/** How long a change made by hand may take to be seen where it is waited for, in milliseconds. */
export const limitMs = 30_000;
/** What somebody sets by hand where a secret belongs. */
export const secret = "correct horse battery staple";
/** Keys that an environment is begun with, `key:0` to `key:<keyCount - 1>`. */
export const keyCount = 500;
/** The resource that an update mends a cluster by. */
export const formation = "update dev-redis-formation";

/** A finding's subject and thing, of a node. */
export const node = (port: number, thing: string, host = "127.0.0.1"): string => `node ${host}:${port}: ${thing}`;
/** The name of a node's resource. */
export const resource = (port: number, part: string, host = "127.0.0.1"): string => `dev-redis-${host}-${port}-${part}`;
/** What an update does to a node's process, be it told or started anew. */
export const processOf = (port: number, host?: string): string => `update ${resource(port, "process", host)}`;
/** A node's process record, from the environment's directory. */
export const record = (port: number): string => `nodes/${port}/redis-server.process`;

/** A running node told something, which an update takes back while it runs. */
export function live(drifting: DriftingEnvironment, port: number, name: string, thing: string, command: readonly [string, ...string[]], actual: RegExp): Kind {
  const host = drifting.environment.hostOf(port);
  return { name, inject: async () => { await drifting.tell(port, command); }, found: [[node(port, thing, host), "live", actual]], mended: [processOf(port, host)] };
}

/** One environment through its rounds: what an earlier one left unmended is not told of the later ones. */
export class DriftRounds {
  readonly drifting: DriftingEnvironment;
  /** Of each round, a line that says how long a check and an update took. */
  readonly costs: string[] = [];
  #unmended: string | undefined;

  private constructor(drifting: DriftingEnvironment) {
    this.drifting = drifting;
  }

  /**
   * Brings an environment up, with keys in it. `stop` must be called in the end.
   * @param hosts as those of `Environment.prepare`
   */
  static async start(hosts?: readonly string[]): Promise<DriftRounds> {
    const drifting = await DriftingEnvironment.start(hosts);
    await drifting.fill(keyCount);
    return new DriftRounds(drifting);
  }

  async stop(): Promise<void> {
    process.stdout.write(`${this.costs.join("\n")}\n`);
    await this.drifting.environment.stop();
  }

  /** Injects some kinds at once, and holds what is found, done and started anew against the union of what each must bring. */
  async mend(kinds: readonly Kind[]): Promise<void> {
    const names = kinds.map(({ name }) => name).join("; ");
    this.#refuseUnmended();
    this.#unmended = names;
    this.costs.push(`${names}: ${await mendAll(this.drifting, kinds)}`);
    this.#unmended = undefined;
  }

  /** Checks that nothing is left of all that was injected. */
  async end(): Promise<void> {
    this.#refuseUnmended();
    const { status, drift, differences } = await this.drifting.check();
    assert.deepEqual({ status, drift, differences }, { status: 0, drift: false, differences: [] });
  }

  #refuseUnmended(): void {
    if (this.#unmended !== undefined) throw new Error(`not tried, as an earlier round failed: ${this.#unmended}`);
  }
}

/** @returns how long the check and the update took */
async function mendAll(drifting: DriftingEnvironment, kinds: readonly Kind[]): Promise<string> {
  for (const kind of kinds) await kind.inject();
  const before = drifting.environment.processes();
  const state = drifting.environment.state();
  const { status, problem, differences, milliseconds } = await drifting.check();
  assert.deepEqual([status, problem], [7, ""]);
  const found = kinds.flatMap((kind) => kind.found);
  const wanted = new Set(found.map(([what]) => what));
  assert.deepEqual(differences.filter(({ subject, thing }) => !wanted.has(`${subject}: ${thing}`)), [], "more is found than was injected");
  assert.deepEqual(differences.map(({ subject, thing, mend }) => `${subject}: ${thing} (${mend})`).sort(), found.map(([what, mend]) => `${what} (${mend})`).sort());
  for (const [what, , actual] of found) assert.match(differences.find(({ subject, thing }) => `${subject}: ${thing}` === what)!.actual, actual, what);
  assert.deepEqual([drifting.environment.processes(), drifting.environment.state()], [before, state], "a check changes nothing");
  assert.ok(!JSON.stringify(differences).includes(secret), "a secret is shown");
  const start = performance.now();
  const changes = await drifting.environment.mend();
  const cost = `found in ${milliseconds / 1000} s, mended in ${Math.round(performance.now() - start) / 1000} s`;
  assert.deepEqual(sorted(changes), [...new Set(kinds.flatMap(({ mended }) => mended))].sort());
  const now = drifting.environment.processes();
  const restarted = [...now.keys()].filter((name) => before.get(name)?.startTime !== now.get(name)?.startTime);
  assert.deepEqual(restarted.sort(), kinds.flatMap(({ restarted: records }) => records ?? []).sort());
  assert.equal(now.size, 7);
  assert.ok(!drifting.environment.state().includes(secret), "a secret is kept");
  return cost;
}

function sorted(changes: readonly ResourceChange[]): string[] {
  return changes.map(({ operation, resource: name }) => `${operation} ${name}`).sort();
}
