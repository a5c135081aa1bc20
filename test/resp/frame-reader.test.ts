import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { FrameReader } from "../../proxy/resp/frame-reader.ts";
import { RequestParser } from "../../proxy/resp/request-parser.ts";
import { argument } from "../../proxy/routing/keys.ts";

const ANY = { maxBulkBytes: 1_000, maxArguments: 1_000, maxInlineBytes: 0 };

describe("a frame read once more", () => {
  test("has the arguments that the parser found in it, wherever it lies", () => {
    const command = fc.array(fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 12 }), (commands) => {
        const bytes = Buffer.concat([Buffer.from("before"), ...commands.map((parts) => encodeCommand(parts))]);
        const parser = new RequestParser(ANY);
        parser.push(bytes.subarray(6));
        const reader = new FrameReader();
        let at = 6;
        for (const parts of commands) {
          assert.ok(parser.next());
          at = reader.read(bytes, at);
          assert.deepEqual([at, reader.end, reader.argc], [parser.end + 6, at, parts.length]);
          assert.deepEqual(parts.map((_, i) => argument(reader, i)), parts);
        }
        assert.equal(at, bytes.length);
      }),
    );
  });
});
