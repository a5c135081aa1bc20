import assert from "node:assert/strict";
import { test } from "node:test";

import { Rollout, RolloutStoppedError } from "../../../components/provider/rollout.ts";
import type { Standing } from "../../../components/provider/rollout.ts";

/** Members of a rollout whose turns are written down, in their order. */
class Members {
  readonly turns: string[] = [];
  readonly standings: Map<string, Standing>;
  readonly #rollout: Rollout;
  #atWork = 0;

  constructor(standings: Readonly<Record<string, Standing>>, gatherMs = 20) {
    this.standings = new Map(Object.entries(standings));
    this.#rollout = new Rollout(this.standings.size, gatherMs);
  }

  turn(name: string, meanwhile: () => void = () => undefined): Promise<void> {
    const member = { name, standing: () => Promise.resolve(this.standings.get(name)!) };
    return this.#rollout.turn(member, async () => {
      assert.equal(++this.#atWork, 1, "one at a time");
      await Promise.resolve();
      this.turns.push(name);
      this.#atWork--;
      meanwhile();
    });
  }
}

test("those that do not run come first, then those that others can do without, the leading ones last", async () => {
  const members = new Members({ a: "leading", b: "spare", c: "stopped", d: "spare" });
  await Promise.all(["a", "b", "c", "d"].map((name) => members.turn(name)));
  assert.deepEqual(members.turns, ["c", "b", "d", "a"]);
});

test("roles are asked anew for every turn", async () => {
  const members = new Members({ a: "spare", b: "spare", c: "leading" });
  await Promise.all([
    members.turn("a", () => members.standings.set("b", "leading").set("c", "spare")),
    members.turn("b"),
    members.turn("c"),
  ]);
  assert.deepEqual(members.turns, ["a", "c", "b"]);
});

test("one alone does not wait for others for ever, and later ones have turns too", async () => {
  const members = new Members({ a: "leading", b: "spare", c: "spare" });
  await members.turn("a");
  await Promise.all([members.turn("c"), members.turn("b")]);
  assert.deepEqual(members.turns, ["a", "b", "c"]);
});

test("after a failure those that run are left as they are, and told why; those that do not run are started all the same", async () => {
  const members = new Members({ a: "spare", b: "leading", c: "stopped" });
  const outcomes = await Promise.allSettled([
    members.turn("a", () => {
      members.standings.set("c", "stopped");
      throw new Error("it does not start");
    }),
    members.turn("b"),
    members.turn("c"),
  ]);
  assert.deepEqual(members.turns, ["c", "a"]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "rejected", "fulfilled"]);
  const stopped = (outcomes[1] as PromiseRejectedResult).reason as unknown;
  assert.ok(stopped instanceof RolloutStoppedError);
  assert.equal(stopped.message, "b was not restarted and runs on as before, because a did not come back as it should; the next `pulumi up` goes on from there");
  await members.turn("c");
  assert.deepEqual(members.turns, ["c", "a", "c"]);
});
