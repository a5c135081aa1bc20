import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { InvalidValueError } from "../../components/invalid-value-error.ts";
import { fullAccessRules, hashAclPassword, renderUsersAcl, systemUser, systemUserRules } from "../../components/users-acl.ts";
import type { AclUser } from "../../components/users-acl.ts";
import { assertGolden } from "./support/golden.ts";

const alice: AclUser = { name: "alice", passwords: ["alice-password"], rules: fullAccessRules };
const users = [alice, systemUser("replica-user", "r"), systemUser("provisioner", "p"), systemUser("proxy", "x")];

test("users.acl with the system users is the golden one", () => {
  assertGolden("users.acl", renderUsersAcl(users));
});

test("users.acl of a server before 6.2, with two passwords and rules of a declared user, is the golden one", () => {
  const orders: AclUser = { name: "orders-app", passwords: ["old-password", "new-password"], rules: ["~orders:*", "&orders:*", "+@all", "-@dangerous"] };
  assertGolden("users-6.0.acl", renderUsersAcl([alice, orders], { redisVersion: [6, 0] }));
});

test("before Redis 6.2 no channel rule is written", () => {
  assert.equal(renderUsersAcl([alice], { redisVersion: [6, 0] }).split("\n")[0], `user alice on #${hashAclPassword("alice-password")} allcommands allkeys`);
  assert.match(renderUsersAcl([alice], { redisVersion: [6, 2] }), /allkeys allchannels\n/);
});

test("the user default is switched off, whoever else is declared", () => {
  assert.equal(renderUsersAcl([]), "user default off\n");
  assert.throws(() => renderUsersAcl([{ ...alice, name: "default" }]), InvalidValueError);
});

test("where there is an append-only file, the user default keeps rights that nobody can use", () => {
  assert.equal(renderUsersAcl([], { appendOnly: true }), "user default off allcommands allkeys allchannels\n");
  assert.equal(renderUsersAcl([], { appendOnly: true, redisVersion: [6, 0] }), "user default off allcommands allkeys\n");
});

test("two passwords of a user both stand in the file", () => {
  const text = renderUsersAcl([{ ...alice, passwords: ["old", "new"] }]);
  assert.ok(text.includes(`#${hashAclPassword("old")} #${hashAclPassword("new")}`));
});

test("a name twice, a name with a space or a line break, and a user without password are refused", () => {
  assert.throws(() => renderUsersAcl([alice, alice]), /users\.alice: is declared twice/);
  for (const name of ["a b", "a\nuser mallory", "", "ü"]) assert.throws(() => renderUsersAcl([{ ...alice, name }]), InvalidValueError);
  for (const passwords of [[], [""]]) assert.throws(() => renderUsersAcl([{ ...alice, passwords }]), /has no password/);
});

test("a rule cannot set a password, switch the user or start another line", () => {
  for (const rule of [">clear", "#" + "0".repeat(64), "nopass", "reset", "off", "on", "+get\nuser mallory on nopass", "+get +set", ""]) {
    assert.throws(() => renderUsersAcl([{ ...alice, rules: [rule] }]), InvalidValueError, rule);
  }
});

test("no password in clear ever stands in the text", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f]{64}$/), (password) => {
      const text = renderUsersAcl([{ ...alice, passwords: [password] }]);
      assert.ok(!text.includes(password));
      assert.match(text, /^user alice on #[0-9a-f]{64} allcommands allkeys allchannels\nuser default off\n$/);
    }),
  );
});

test("no system user may touch a key, and every rule says why it is there", () => {
  for (const rules of Object.values(systemUserRules)) {
    for (const { rule, why } of rules) {
      assert.match(rule, /^\+[a-z]+(\|[a-z-]+)?$/);
      assert.ok(why.length > 10);
    }
  }
});
