import assert from "node:assert/strict";
import { test } from "node:test";
import { ReplyWindow } from "../../proxy/server/reply-window.ts";

test("the window grows to its largest size while replies are small", () => {
  const window = new ReplyWindow(10_000, 1_048_576);
  assert.equal(window.size, 32);
  for (let i = 0; i < 20_000; i++) window.add(5, 1);
  assert.equal(window.size, 10_000);
});

test("replies that come many at a time make it grow as well", () => {
  const window = new ReplyWindow(10_000, 1_048_576);
  for (let i = 0; i < 20; i++) window.add(5 * window.size, window.size);
  assert.equal(window.size, 10_000);
});

test("the first large reply shrinks it, so that those under way fit", () => {
  const window = new ReplyWindow(10_000, 1_048_576);
  for (let i = 0; i < 20_000; i++) window.add(5, 1);
  window.add(65_536, 1);
  assert.equal(window.size, 16);
});

test("a reply beyond all bounds leaves one request at a time, before its end has come", () => {
  const window = new ReplyWindow(100, 65_536);
  for (let i = 0; i < 10; i++) window.add(16_384, 0);
  assert.equal(window.size, 1);
});

test("it grows again once replies are small again", () => {
  const window = new ReplyWindow(1_000, 65_536);
  window.add(1_000_000, 1);
  assert.equal(window.size, 1);
  for (let i = 0; i < 5_000; i++) window.add(5, 1);
  assert.equal(window.size, 1_000);
});

test("it is never larger than it may be", () => {
  const window = new ReplyWindow(1, 65_536);
  assert.equal(window.size, 1);
  for (let i = 0; i < 100; i++) window.add(1, 1);
  assert.equal(window.size, 1);
});

test("a large reply that was put together shrinks it, and small ones make it no larger than at first", () => {
  const window = new ReplyWindow(10_000, 1_048_576);
  for (let i = 0; i < 1_000; i++) window.expect(5);
  assert.equal(window.size, 32);
  window.expect(131_072);
  assert.equal(window.size, 8);
  for (let i = 0; i < 1_000; i++) window.expect(5);
  assert.equal(window.size, 32);
});
