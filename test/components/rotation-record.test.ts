import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidValueError } from "../../components/invalid-value-error.ts";
import { planRotations, readRotations } from "../../components/rotation-record.ts";
import type { DeclaredRotation, RotationRecord } from "../../components/rotation-record.ts";
import { formatRotation, parseRotation } from "../../components/rotation.ts";

function declare(redisCa: string, alice = "standby 1"): readonly DeclaredRotation[] {
  return [
    { property: "redisCaRotation", kind: "authority", step: parseRotation("redisCaRotation", "authority", redisCa) },
    { property: "passwordRotations.alice", kind: "password", step: parseRotation("passwordRotations.alice", "password", alice) },
  ];
}

/** The files of a stack, as updates leave them that come to their end or are cut off. */
class Files {
  record: Partial<RotationRecord> = {};

  update(...steps: Parameters<typeof declare>): this {
    this.record = planRotations(this.record, declare(...steps));
    return this;
  }

  cutOff(...steps: Parameters<typeof declare>): this {
    this.record = { ...this.record, begun: planRotations(this.record, declare(...steps)).begun };
    return this;
  }

  refusal(...steps: Parameters<typeof declare>): string {
    try {
      planRotations(this.record, declare(...steps));
      return "";
    } catch (error) {
      assert.ok(error instanceof InvalidValueError);
      return error.message;
    }
  }

  get redisCa(): string {
    const { begun, from } = readRotations(this.record, declare("standby 1")).get("redisCaRotation")!;
    return `${formatRotation(from)} -> ${formatRotation(begun)}`;
  }
}

test("what is made new may be at any step, and an update that changes nothing leaves the record as it is", () => {
  const files = new Files().update("standby 7");
  const { record } = files;
  assert.deepEqual(files.update("standby 7").record, record);
  assert.equal(files.redisCa, "standby 7 -> standby 7");
  const moved = files.update("init 8").record;
  assert.deepEqual(files.update("init 8").record, moved);
});

test("a step of one thing leaves the others where they are", () => {
  const files = new Files().update("standby 1").update("init 2").update("init 2", "init 2");
  assert.equal(files.redisCa, "init 2 -> init 2");
  assert.equal(files.refusal("update_servers 2", "init 2"), 'redisCaRotation: is "update_servers 2", but "init 2" is what stands; expected "standby 1" or "init 2" or "update_clients 2", one step at a time');
  assert.match(files.refusal("init 2", "standby 2"), /^passwordRotations\.alice: is "standby 2", but "init 2" is what stands; /);
});

test("an update that was cut off is known of until one comes to its end, also when it is taken back", () => {
  const files = new Files().update("init 2").cutOff("update_clients 2");
  assert.equal(files.redisCa, "init 2 -> update_clients 2");
  assert.match(files.refusal("update_servers 2"), /was cut off; expected "init 2" or "update_clients 2"/);
  // Neither side of a step that was cut off on the way there is all of it on the way back.
  files.cutOff("init 2");
  assert.equal(files.redisCa, "update_clients 2 -> init 2");
  assert.match(files.refusal("standby 1"), /was cut off; expected "init 2" or "update_clients 2"/);
  files.cutOff("update_clients 2").cutOff("update_clients 2");
  assert.match(files.refusal("update_servers 2"), /was cut off/);
  files.update("update_clients 2");
  assert.equal(files.refusal("update_servers 2"), "");
});

test("a change of another thing does not hide a step that was cut off", () => {
  const files = new Files().update("init 2").cutOff("update_clients 2").cutOff("update_clients 2", "init 2");
  assert.match(files.refusal("update_servers 2", "init 2"), /was cut off; expected "init 2" or "update_clients 2"/);
});

for (const [what, begun] of Object.entries({ "that is no JSON": "{", "of another form": '{"serial":"1"}', "with steps that are none": '{"serial":1,"steps":{"redisCaRotation":["next"]}}' })) {
  test(`a record ${what} tells nothing, and is written anew`, () => {
    const files = new Files();
    files.record = { begun, done: '{"serial":1}' };
    assert.equal(files.update("update_servers 2").redisCa, "update_servers 2 -> update_servers 2");
  });
}
