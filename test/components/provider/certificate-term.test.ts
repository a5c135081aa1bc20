/** A certificate's term, by a clock that the test sets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Finding } from "../../../components/drift.ts";
import { certificateTermResource } from "../../../components/provider/certificate-term-resource.ts";
import { onWire } from "../../../components/provider/dispatcher.ts";
import type { Values } from "../../../components/provider/wire.ts";
import { renewAt } from "../../../components/renewal.ts";

const start = new Date("2026-03-01T12:00:00.000Z");
const hourMs = 3_600_000;
const declared = { subject: "127.0.0.1", validityHours: 300, authority: "a".repeat(64) };

/** A term of 300 hours in a world whose clock can be set, as the engine handles it. */
async function makeTerm(changes: Values = {}) {
  let now = start;
  const resource = onWire(certificateTermResource(() => now));
  const silent = { say: () => undefined, status: () => undefined };
  const inputsOf = async (old: Values | undefined, news: Values): Promise<Values> => (await resource.check(old, news)).inputs;
  let inputs = await inputsOf(undefined, { ...declared, ...changes });
  let { state } = await resource.create(inputs, false, silent);
  return {
    pass: (hours: number) => (now = new Date(now.getTime() + hours * hourMs)),
    state: () => state,
    inputs: () => inputs,
    /** As `pulumi up` does it, with or without a refresh; tells whether the term began anew. */
    async up(news: Values = declared, refresh = false): Promise<boolean> {
      if (refresh) state = (await resource.read(inputs, state))!;
      inputs = await inputsOf(inputs, news);
      if ((resource.diff(state, inputs)).changed.length === 0) return false;
      const { begun } = state;
      state = await resource.update(state, inputs, false, silent);
      return state["begun"] !== begun;
    },
    async look(): Promise<readonly Finding[]> {
      return (await resource.read(inputs, state))!["drift"] as readonly Finding[];
    },
  };
}

test("a certificate is due when two thirds of its life are over, however long that is", () => {
  assert.equal(renewAt(start, new Date(start.getTime() + 300 * hourMs)).toISOString(), new Date(start.getTime() + 200 * hourMs).toISOString());
  // Minutes or a century: never before it begins, never after its end, and a third of its life is left.
  fc.assert(fc.property(fc.integer({ min: 60_000, max: 876_000 * hourMs }), (lifeMs) => {
    const due = renewAt(start, new Date(start.getTime() + lifeMs)).getTime() - start.getTime();
    assert.ok(Math.abs(due - (lifeMs * 2) / 3) <= 1);
  }));
});

for (const refresh of [false, true]) {
  test(`an update ${refresh ? "with" : "without"} a refresh begins a new term when the old one is due, and not before`, async () => {
    const term = await makeTerm();
    assert.equal(await term.up(declared, refresh), false);
    term.pass(199.9);
    assert.equal(await term.up(declared, refresh), false);
    term.pass(0.2);
    assert.equal(await term.up(declared, refresh), true);
    assert.equal(await term.up(declared, refresh), false, "and once");
    term.pass(199.9);
    assert.equal(await term.up(declared, refresh), false);
  });
}

test("a drift check names what is due, with the dates, and what `up` will do", async () => {
  const term = await makeTerm();
  assert.deepEqual(await term.look(), []);
  term.pass(200);
  assert.deepEqual(await term.look(), [
    { thing: "certificate of 127.0.0.1", declared: "renewed by 2026-03-09", actual: "of 2026-03-01, valid until 2026-03-14", since: "2026-03-09T20:00:00.000Z", mend: "renew" },
  ]);
});

for (const [what, change] of Object.entries({ "another revision": { revision: "2" }, "another authority": { authority: "b".repeat(64) }, "another length": { validityHours: 24 } })) {
  test(`${what} begins a new term, whenever that is`, async () => {
    const term = await makeTerm();
    term.pass(1);
    assert.equal(await term.up({ ...declared, ...change }), true);
    assert.equal(await term.up({ ...declared, ...change }), false);
  });
}
