import { COLON, CR, DOLLAR, MINUS, ASTERISK } from "../resp/bytes.ts";
import { encodeArray, encodeError, encodeInteger } from "../resp/encoder.ts";

/** How the replies of several masters become one (the response policies of Redis's command tips, and two of our own). */
export type Merge =
  | "allSucceeded"
  | "oneSucceeded"
  | "sum"
  | "minimum"
  | "maximum"
  | "logicalAnd"
  | "logicalOr"
  /** Arrays behind one another, in the order of the nodes. */
  | "concatenate"
  /** Any one of the replies that are not nil, where there are some; which, chance decides. */
  | "anyValue";

const POLICIES: Readonly<Record<string, Merge>> = {
  all_succeeded: "allSucceeded",
  one_succeeded: "oneSucceeded",
  agg_sum: "sum",
  agg_min: "minimum",
  agg_max: "maximum",
  agg_logical_and: "logicalAnd",
  agg_logical_or: "logicalOr",
};

/** The merge for a response policy as the server's command tips name it; undefined for one that is no plain rule. */
export function mergeOfPolicy(policy: string): Merge | undefined {
  return policy === "" ? "concatenate" : POLICIES[policy];
}

/**
 * Makes one reply of several (at least one, each whole, RESP2). An error among them is the answer, the first one's
 * text unchanged, except where one success is enough.
 */
export function mergeReplies(merge: Merge, replies: readonly Buffer[]): Buffer {
  const failure = replies.find(isError);
  if (merge === "oneSucceeded") return replies.find((reply) => !isError(reply)) ?? failure!;
  if (failure !== undefined) return failure;
  switch (merge) {
    case "allSucceeded":
      return replies[0]!;
    case "anyValue": {
      const values = replies.filter((reply) => !isNil(reply));
      return values[Math.floor(Math.random() * values.length)] ?? replies[0]!;
    }
    case "concatenate":
      return concatenate(replies);
    default:
      return aggregate(merge, replies);
  }
}

/** Whether a whole reply is an error. */
function isError(reply: Buffer): boolean {
  return reply[0] === MINUS;
}

function isNil(reply: Buffer): boolean {
  return (reply[0] === DOLLAR || reply[0] === ASTERISK) && reply[1] === MINUS;
}

function concatenate(replies: readonly Buffer[]): Buffer {
  if (!replies.every((reply) => reply[0] === ASTERISK)) return replies[0]!;
  const bodies = replies.map((reply) => header(reply));
  const total = bodies.reduce((sum, [count]) => sum + Math.max(count, 0), 0);
  return Buffer.concat([
    Buffer.from(`*${total}\r\n`),
    ...replies.map((reply, i) => reply.subarray(bodies[i]![1])),
  ]);
}

/** Integers, or arrays of integers of one length, element by element. */
function aggregate(merge: Exclude<Merge, "allSucceeded" | "oneSucceeded" | "anyValue" | "concatenate">, replies: readonly Buffer[]): Buffer {
  const lists = replies.map(integers);
  const width = lists[0]?.length ?? 0;
  if (lists.some((list) => list?.length !== width)) return encodeError("ERR the masters' replies do not fit each other");
  const results = Array.from({ length: width }, (_, i) => encodeInteger(combine(merge, lists.map((list) => list![i]!))));
  return replies[0]![0] === COLON ? results[0]! : encodeArray(results);
}

function combine(merge: string, values: bigint[]): bigint {
  switch (merge) {
    case "sum":
      return values.reduce((a, b) => a + b);
    case "minimum":
      return values.reduce((a, b) => (b < a ? b : a));
    case "maximum":
      return values.reduce((a, b) => (b > a ? b : a));
    case "logicalAnd":
      return values.every((value) => value !== 0n) ? 1n : 0n;
    default:
      return values.some((value) => value !== 0n) ? 1n : 0n;
  }
}

/** The numbers of an integer reply, or of an array of them; undefined where the reply is neither. */
function integers(reply: Buffer): bigint[] | undefined {
  const lines = reply.toString("latin1").split("\r\n").slice(0, -1);
  const items = reply[0] === ASTERISK ? lines.slice(1) : lines;
  return items.every((line) => /^:-?\d+$/.test(line)) ? items.map((line) => BigInt(line.slice(1))) : undefined;
}

function header(reply: Buffer): [count: number, bodyStart: number] {
  const end = reply.indexOf(CR);
  return [Number(reply.toString("latin1", 1, end)), end + 2];
}
