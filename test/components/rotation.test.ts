import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { InvalidValueError } from "../../components/invalid-value-error.ts";
import {
  authorityGenerations,
  beginStep,
  checkRotationStep,
  formatRotation,
  isSameStep,
  nextMove,
  parseRotation,
  passwordGenerations,
  rotationGoal,
  stepAfter,
  stepBefore,
  stepsFrom,
} from "../../components/rotation.ts";
import type { Rotation, RotationDirection, RotationFound, RotationKind } from "../../components/rotation.ts";

const kinds: readonly RotationKind[] = ["authority", "password"];
const anyKind = fc.constantFrom(...kinds);

/** Any step of a kind, by the number of steps from the first. */
function stepNumber(kind: RotationKind, number: number): Rotation {
  let step: Rotation = { phase: "standby", generation: 1 };
  for (let i = 0; i < number; i++) step = stepAfter(kind, step);
  return step;
}

function parse(kind: RotationKind, text: string): Rotation {
  return parseRotation("redisCaRotation", kind, text);
}

test("an authority goes through init, update_clients and update_servers to standby, a password through init and update_clients", () => {
  const steps = (kind: RotationKind, count: number): string[] => Array.from({ length: count }, (_, number) => formatRotation(stepNumber(kind, number)));
  assert.deepEqual(steps("authority", 6), ["standby 1", "init 2", "update_clients 2", "update_servers 2", "standby 2", "init 3"]);
  assert.deepEqual(steps("password", 5), ["standby 1", "init 2", "update_clients 2", "standby 2", "init 3"]);
});

test("a step that was written is read as the same step, and the step before the one after it is itself, within one rotation", () => {
  fc.assert(fc.property(anyKind, fc.nat(60), (kind, number) => {
    const step = stepNumber(kind, number);
    assert.deepEqual(parse(kind, formatRotation(step)), step);
    const before = stepBefore(kind, stepAfter(kind, step));
    if (stepAfter(kind, step).phase === "standby") assert.equal(before, undefined, "what was before the last step is gone");
    else assert.deepEqual(before, step);
  }));
});

for (const [kind, text, problem] of [
  ["authority", "standby", /is "standby"; expected a phase and a generation, such as "standby 1"; the phases are standby, init, update_clients, update_servers$/],
  ["authority", "begin 2", /is "begin 2"; expected a phase/],
  ["authority", "standby 0", /is "standby 0"; expected a phase/],
  ["authority", "standby 10000", /is "standby 10000"; expected a phase/],
  ["authority", "init 1", /is "init 1", but generation 1 replaces none; expected "standby 1" or "init 2"$/],
  ["password", "update_servers 2", /is "update_servers 2"; expected .* the phases are standby, init, update_clients$/],
] as const) {
  test(`"${text}" is refused as the rotation of ${kind === "authority" ? "an authority" : "a password"}, with what would be right`, () => {
    assert.throws(() => parse(kind, text), (error) => error instanceof InvalidValueError && error.property === "redisCaRotation" && problem.test(error.message));
  });
}

/** Whatever was found: the last run ended with its step done, or was cut off on the way to a neighbour of what was done. */
const anyFound = fc.tuple(anyKind, fc.nat(30), fc.constantFrom(-1, 0, 1)).map(([kind, number, away]) => {
  const done = stepNumber(kind, number);
  const begun = away === 0 ? done : away > 0 ? stepAfter(kind, done) : (stepBefore(kind, done) ?? done);
  return { kind, found: { begun, from: done } };
});

/** Who shows a certificate of which generation, and whom each accepts, where some parts are at one step and others at another. */
function allAccepted(steps: readonly Rotation[], signs: "servers" | "clients"): boolean {
  const parts = steps.map((step) => authorityGenerations(step, signs));
  return parts.every(({ signer }) => parts.every(({ trustedByServers, trustedByClients }) =>
    trustedByServers.includes(signer) && (signs === "clients" || trustedByClients.includes(signer)),
  ));
}

test("wherever a run was cut off, and whatever may be declared next, each part accepts what each other part shows", () => {
  fc.assert(fc.property(anyFound, ({ kind, found }) => {
    for (const declared of stepsFrom(kind, found)) {
      const mixed = [found.begun, found.from, declared];
      if (kind === "authority") {
        assert.ok(allAccepted(mixed, "servers"), mixed.map(formatRotation).join(", "));
        assert.ok(allAccepted(mixed, "clients"), mixed.map(formatRotation).join(", "));
      } else {
        const parts = mixed.map(passwordGenerations);
        assert.ok(parts.every(({ used }) => parts.every(({ valid }) => valid.includes(used))), mixed.map(formatRotation).join(", "));
      }
    }
  }));
});

test("what may be declared is accepted and anything else is refused with what would be right", () => {
  fc.assert(fc.property(anyFound, fc.nat(36), ({ kind, found }, number) => {
    const declared = stepNumber(kind, number);
    const right = stepsFrom(kind, found);
    const check = (): void => {
      checkRotationStep("redisCaRotation", kind, declared, found);
    };
    if (right.some((step) => isSameStep(step, declared))) check();
    else assert.throws(check, (error) => error instanceof InvalidValueError && right.every((step) => error.message.includes(`"${formatRotation(step)}"`)));
    checkRotationStep("redisCaRotation", kind, declared, undefined);
  }));
});

test("a phase that is left out, and one that is gone, are refused by name", () => {
  const refusal = (declared: string, begun: string, done: string): string => {
    try {
      checkRotationStep("redisCaRotation", "authority", parse("authority", declared), { begun: parse("authority", begun), from: parse("authority", done) });
      return "";
    } catch (error) {
      return (error as InvalidValueError).message;
    }
  };
  assert.equal(refusal("update_servers 2", "init 2", "init 2"), 'redisCaRotation: is "update_servers 2", but "init 2" is what stands; expected "standby 1" or "init 2" or "update_clients 2", one step at a time');
  assert.equal(refusal("standby 2", "standby 1", "standby 1"), 'redisCaRotation: is "standby 2", but "standby 1" is what stands; expected "standby 1" or "init 2", one step at a time');
  assert.equal(refusal("update_servers 2", "standby 2", "update_servers 2"), 'redisCaRotation: is "update_servers 2", but the step from "update_servers 2" to "standby 2" was cut off; expected "standby 2", one step at a time');
  assert.equal(refusal("update_servers 2", "update_clients 2", "init 2"), 'redisCaRotation: is "update_servers 2", but the step from "init 2" to "update_clients 2" was cut off; expected "init 2" or "update_clients 2", one step at a time');
});

test("from wherever a run was cut off, the moves reach the goal by steps that are accepted, whatever is cut off again", () => {
  fc.assert(fc.property(anyFound, fc.constantFrom<RotationDirection>("forward", "rollback"), fc.array(fc.boolean(), { maxLength: 12 }), ({ kind, found }, direction, interruptions) => {
    let now = found;
    let goal: Rotation;
    try {
      goal = rotationGoal("redisCaRotation", kind, now, direction);
    } catch (error) {
      assert.ok(error instanceof InvalidValueError && direction === "rollback" && now.begun.phase === "standby");
      return;
    }
    assert.equal(goal.phase, "standby");
    for (let moves = 0; ; moves++) {
      assert.ok(moves < 20, "it comes to its end");
      const move = nextMove(kind, now, goal);
      if (move.kind === "finished") break;
      checkRotationStep("redisCaRotation", kind, move.step, now);
      now = interruptions[moves] === true ? beginStep(now, move.step) : { begun: move.step, from: move.step };
    }
    assert.deepEqual(now, { begun: goal, from: goal });
  }));
});

test("a rotation that was cut off goes on where it is, and a rollback goes back at once", () => {
  const found = (begun: string, from: string): RotationFound => ({ begun: parse("authority", begun), from: parse("authority", from) });
  const goal = (begun: string, from: string, direction: RotationDirection): string => formatRotation(rotationGoal("redisCaRotation", "authority", found(begun, from), direction));
  assert.equal(goal("standby 1", "standby 1", "forward"), "standby 2");
  assert.equal(goal("update_clients 2", "init 2", "forward"), "standby 2");
  assert.equal(goal("standby 2", "update_servers 2", "forward"), "standby 2", "not another one after it");
  assert.equal(goal("update_servers 2", "update_servers 2", "rollback"), "standby 1");
  assert.equal(goal("standby 1", "init 2", "rollback"), "standby 1");
  assert.throws(() => goal("standby 2", "standby 2", "rollback"), /no rotation is under way/);
  assert.throws(() => goal("standby 2", "update_servers 2", "rollback"), /the last step of its rotation was begun/);
  const move = (begun: string, from: string, end: string): string => {
    const next = nextMove("authority", found(begun, from), parse("authority", end));
    return `${next.kind} ${formatRotation(next.step)}`;
  };
  assert.equal(move("init 2", "standby 1", "standby 1"), "take standby 1");
  assert.equal(move("init 2", "standby 1", "standby 2"), "take init 2");
  assert.equal(move("init 2", "init 2", "standby 2"), "take update_clients 2");
  assert.equal(move("standby 2", "standby 2", "standby 2"), "finished standby 2");
});

test("a step that is cut off on the way back leaves parts on either side, as it did on the way there", () => {
  const found = { begun: parse("authority", "update_clients 2"), from: parse("authority", "init 2") };
  const back = beginStep(found, found.from);
  assert.deepEqual(back, { begun: found.from, from: found.begun });
  assert.deepEqual(beginStep(back, back.begun), back, "the same step again");
  assert.throws(() => {
    checkRotationStep("redisCaRotation", "authority", parse("authority", "standby 1"), back);
  }, /expected "init 2" or "update_clients 2", one step at a time$/);
});

test("the old authority is free to go in the step before the last, and in no other", () => {
  assert.deepEqual(["standby 1", "init 2", "update_clients 2", "update_servers 2", "standby 2"].map((text) => authorityGenerations(parse("authority", text), "servers").leaving), [undefined, undefined, undefined, 1, undefined]);
});
