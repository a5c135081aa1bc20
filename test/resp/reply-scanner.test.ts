import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../../proxy/resp/protocol-error.ts";
import { pieces } from "../support/pieces.ts";
import { replyEnds } from "../support/reply-reading.ts";

function vector(name: string, ...replies: string[]): void {
  test(`finds ${name}`, () => {
    const bytes = Buffer.from(replies.join(""), "latin1");
    let at = 0;
    const expected = replies.map((reply) => (at += reply.length));
    for (const chunks of [[bytes], pieces(bytes, 1)]) assert.deepEqual(replyEnds(chunks), { ends: expected, between: true });
  });
}

describe("a reply scanner", () => {
  vector("simple strings, errors and integers", "+OK\r\n", "-ERR no\r\n", ":12\r\n", ":-3\r\n");
  vector("bulk strings", "$3\r\nabc\r\n", "$0\r\n\r\n", "$-1\r\n", "$2\r\n\r\n\r\n");
  vector("arrays", "*2\r\n$1\r\na\r\n:1\r\n", "*0\r\n", "*-1\r\n");
  vector("nested arrays", "*2\r\n*2\r\n:1\r\n*1\r\n+x\r\n*0\r\n", "+OK\r\n");
  vector("RESP3 scalars", "_\r\n", "#t\r\n", ",3.14\r\n", "(12345678901234567890\r\n", "=7\r\ntxt:abc\r\n", "!5\r\nERR x\r\n");
  vector("RESP3 maps, sets and pushes", "%1\r\n+k\r\n%1\r\n+a\r\n:1\r\n", "~2\r\n:1\r\n:2\r\n", ">2\r\n+invalidate\r\n*0\r\n");
  vector("an attribute with the reply behind it", "|1\r\n+ttl\r\n:1\r\n$1\r\na\r\n", ":1\r\n");
  vector("an attribute inside an array", "*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", "+OK\r\n");

  for (const bytes of ["x\r\n", "$a\r\n", "*1x\r\n", "$\r\n", "$--1\r\n", "$1\n", "$99999999999999999999\r\n"]) {
    test(`refuses ${JSON.stringify(bytes)}`, () => {
      for (const size of [1, bytes.length]) assert.throws(() => replyEnds(pieces(Buffer.from(bytes), size)), ProtocolError);
    });
  }

  test("finds every end in any stream of replies, however it is cut", () => {
    const { reply } = fc.letrec<{ reply: string }>((tie) => ({
      reply: fc.oneof(
        { depthSize: "small" },
        fc.integer().map((n) => `:${n}\r\n`),
        fc.string({ unit: fc.constantFrom("a", " ", "$", "*") }).map((s) => `+${s}\r\n`),
        fc.string({ unit: fc.constantFrom("a", "\r", "\n", ":", "$") }).map((s) => `$${s.length}\r\n${s}\r\n`),
        fc.array(tie("reply"), { maxLength: 4 }).map((items) => `*${items.length}\r\n${items.join("")}`),
        fc.array(fc.tuple(tie("reply"), tie("reply")), { maxLength: 3 }).map((items) => `%${items.length}\r\n${items.flat().join("")}`),
        fc.tuple(tie("reply"), tie("reply"), tie("reply")).map(([k, v, r]) => `|1\r\n${k}${v}${r}`),
      ),
    }));
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (replies, sizes) => {
        const bytes = Buffer.from(replies.join(""), "latin1");
        let at = 0;
        const expected = replies.map((text) => (at += text.length));
        assert.deepEqual(replyEnds(pieces(bytes, ...sizes)).ends, expected);
      }),
    );
  });
});
