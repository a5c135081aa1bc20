import assert from "node:assert/strict";
import { test } from "node:test";
import { compareUsers } from "../../components/acl-difference.ts";

const hash = "77e778f6d46af8887e76d5fad969b49bd2aac3e8309f1574333e6537c58a59bf";
const declared = [`user alice on #${hash} ~* &* +@all`, "user default off resetchannels -@all", `user proxy on #${hash} resetchannels -@all +cluster|slots +ping`];

test("users that differ in the order of single commands, or in what Redis writes for a default, are the same", () => {
  const live = ["user default off sanitize-payload resetchannels -@all", `user proxy on #${hash} resetchannels -@all +ping +cluster|slots`, declared[0]!];
  assert.deepEqual(compareUsers(declared, live), { findings: [], commands: [] });
});

test("a rule for a category means something else in another place", () => {
  const { findings } = compareUsers(["user a on ~* +@all -get"], ["user a on ~* -get +@all"]);
  assert.deepEqual(findings.map(({ thing }) => thing), ["user a"]);
});

test("a right too many, a user too many and one too few are told rule by rule, and put right without dropping a client", () => {
  const live = [declared[0]!, "user default on nopass resetchannels -@all", `user evil on nopass ~* +@all`];
  assert.deepEqual(compareUsers(declared, live), {
    findings: [
      { thing: "user evil", declared: "no such user", actual: "on nopass ~* +@all", mend: "live" },
      { thing: "user default", declared: "off", actual: "on nopass", mend: "live" },
      { thing: "user proxy", declared: "on password sha256 77e778f6d46a… resetchannels -@all +cluster|slots +ping", actual: "no such user", mend: "live" },
    ],
    commands: [
      ["ACL", "DELUSER", "evil"],
      ["ACL", "SETUSER", "default", "reset", "off", "resetchannels", "-@all"],
      ["ACL", "SETUSER", "proxy", "reset", "on", `#${hash}`, "resetchannels", "-@all", "+cluster|slots", "+ping"],
    ],
  });
});

test("a selector is one rule", () => {
  const { findings, commands } = compareUsers(["user a on ~a:* -@all (~x:* -@all +get)"], ["user a on ~a:* -@all (~y:* -@all +get)"]);
  assert.deepEqual(findings, [{ thing: "user a", declared: "(~x:* -@all +get)", actual: "(~y:* -@all +get)", mend: "live" }]);
  assert.deepEqual(commands, [["ACL", "SETUSER", "a", "reset", "on", "~a:*", "-@all", "(~x:* -@all +get)"]]);
});
