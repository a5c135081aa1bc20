import { randomInt } from "node:crypto";
import type { TestContext } from "node:test";

/**
 * The seed of a test that tries random things, other ones each time; printed, so that FUZZ_SEED=… has the same again. Whole
 * numbers as fast-check and `Random` take them.
 */
export function fuzzSeed(context: TestContext): number {
  const given = process.env["FUZZ_SEED"];
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given);
  context.diagnostic(`FUZZ_SEED=${seed}`);
  return seed;
}
