import assert from "node:assert/strict";
import type { ResourceChange } from "../../support/environment.ts";
import type { DriftingEnvironment } from "./drifting-environment.ts";

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
/** The resource that an update mends a cluster by. */
export const formation = "update dev-redis-formation";

/** A finding's subject and thing, of a node. */
export const node = (port: number, thing: string): string => `node 127.0.0.1:${port}: ${thing}`;
/** The name of a node's resource. */
export const resource = (port: number, part: string): string => `dev-redis-127.0.0.1-${port}-${part}`;
/** What an update does to a node's process, be it told or started anew. */
export const processOf = (port: number): string => `update ${resource(port, "process")}`;
/** A node's process record, from the environment's directory. */
export const record = (port: number): string => `nodes/${port}/redis-server.process`;

/** A running node told something, which an update takes back while it runs. */
export function live(drifting: DriftingEnvironment, port: number, name: string, thing: string, command: readonly [string, ...string[]], actual: RegExp): Kind {
  return { name, inject: async () => { await drifting.tell(port, command); }, found: [[node(port, thing), "live", actual]], mended: [processOf(port)] };
}

/**
 * Injects some kinds at once, and holds what is found, done and started anew against the union of what each must bring.
 * @returns a line that says how long that took
 */
export async function mendAll(drifting: DriftingEnvironment, kinds: readonly Kind[]): Promise<string> {
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
  const cost = `${kinds.map(({ name }) => name).join("; ")}: found in ${milliseconds / 1000} s, mended in ${Math.round(performance.now() - start) / 1000} s`;
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
