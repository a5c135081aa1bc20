import { createHash } from "node:crypto";
import fc from "fast-check";
import type { CommandEntry } from "../../../proxy/routing/command-table.ts";
import { TEMPLATES, TEXTS } from "./command-templates.ts";

/** A request, its name first. */
export type Command = readonly Buffer[];

/**
 * What no random command is made of, and why: these speak of the session (tested elsewhere, and worded by the guide), or act on
 * the node rather than on data.
 */
const LEFT_OUT = new Set([
  ...["auth", "hello", "quit", "reset", "subscribe", "psubscribe", "ssubscribe"],
  ...["save", "bgsave", "bgrewriteaof", "lastsave", "failover", "lolwut"],
]);

/** Only as the templates have them: with arbitrary arguments they wait, expire while the test runs, or take one element of many. */
const NOT_ARBITRARY = new Set(["expire", "pexpire", "setex", "psetex", "getex", "restore", "restore-asking", "spop"]);

/** Hash tags of keys; with three masters they lie on each of them. */
export const TAGS = ["a", "b", "c", "d", "e"] as const;

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
/** Keys on which a hand-made reading of hash tags stumbles. */
const oddKeys = ["", "{}", "{", "}{a}", "{a}{b}", "{{a}}", "\0\xff\r\n", "plain"].map(latin1);

interface Key {
  readonly kind: string;
  readonly number: number;
  /** Another tag than the command's other keys have. */
  readonly elsewhere: string | undefined;
  readonly odd: Buffer | undefined;
}

const rarely = <T>(one: fc.Arbitrary<T>, weight = 12): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined, freq: weight });

/** Weighted so that most are what the command is for. */
function keyOf(kind: string): fc.Arbitrary<Key> {
  const any = fc.constantFrom(..."sclhezxgp".split(""));
  return fc.record({
    kind: kind === "k" ? any : fc.oneof({ weight: 9, arbitrary: fc.constant(kind) }, { weight: 1, arbitrary: any }),
    number: fc.nat(2),
    elsewhere: fc.oneof({ weight: 14, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(...TAGS) }),
    odd: fc.oneof({ weight: 30, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(...oddKeys) }),
  });
}

const value = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("", "a", "b", "hello world", "1", "-7", "0.5", "\r\n", "$-1\r\n", "\0\xff\xfe", "'\"\\").map(latin1) },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(1_000, 30_000, 130_000), fc.nat(255)).map(([length, byte]) => Buffer.alloc(length, byte)) },
);
const member = fc.constantFrom("m", "n", "o", "", "1", "two words", "\r\n").map(latin1);
const integer = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -3, max: 12 }).map(String) },
  fc.constantFrom("100", "007", "1.5", "abc", "", "9223372036854775807", "-9223372036854775808", "9223372036854775808", " 1"),
).map(latin1);
const fraction = fc.constantFrom("0", "1", "1.5", "-2.25", "3e2", "inf", "-inf", "nan", "x").map(latin1);
const streamId = fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 60 }).map((n) => `${n}-${n % 3}`) }, fc.constantFrom("0", "0-0", "5-*", "x")).map(latin1);
/** Of scripts that always have a key: where one without runs is the proxy's choice, and with it who knows the script. */
const sha = fc.constantFrom(...[TEXTS["get"]!, TEXTS["get_and_set"]!].map((text) => createHash("sha1").update(text).digest("hex")), "0".repeat(40), "x").map(latin1);

const drawn: Readonly<Record<string, fc.Arbitrary<Buffer>>> = {
  ...{ v: value, m: member, i: integer, f: fraction, id: streamId, sha },
  ...{ t: fc.constant(latin1("4000000000")), ms: fc.constant(latin1("4000000000000")), far: fc.constantFrom("100000", "2000000").map(latin1) },
};

/** @param dump what DUMP gives of some value */
function fromTemplate(template: string, dump: Buffer): fc.Arbitrary<Command> {
  const words = template.split(" ").map((word): fc.Arbitrary<Buffer | Key> => {
    const [, before, name] = /^([([]?)%([a-z]+)$/.exec(word) ?? [];
    if (name === undefined) return fc.constant(latin1(TEXTS[word] ?? word));
    if (name === "dump") return fc.constant(dump);
    const some = drawn[name];
    return some === undefined ? keyOf(name) : some.map((bytes) => Buffer.concat([latin1(before!), bytes]));
  });
  return placed(fc.tuple(...words));
}

/** Any of the arguments that there are, about as many as the command takes, whatever they mean to it. */
function arbitrary(entry: CommandEntry): fc.Arbitrary<Command> {
  const argument: fc.Arbitrary<Buffer | Key> = fc.oneof({ weight: 3, arbitrary: keyOf("k") }, integer, member, value);
  const least = Math.abs(entry.arity) - 1;
  const [name, sub] = entry.name.split("|");
  const head = [latin1(name!), ...(sub === undefined ? [] : [latin1(sub)])];
  const lengths = { minLength: Math.max(0, least - head.length), maxLength: Math.max(0, least - head.length + 4) };
  return placed(fc.array(argument, lengths).map((rest) => [...head, ...rest]));
}

/** Gives the keys of a command their names: mostly of one tag, so of one slot. */
function placed(words: fc.Arbitrary<(Buffer | Key)[]>): fc.Arbitrary<Command> {
  return fc.tuple(words, fc.constantFrom(...TAGS), rarely(fc.constantFrom("lower", "mixed"))).map(([parts, tag, spelling]) =>
    parts.map((part, i) => {
      if (!Buffer.isBuffer(part)) return part.odd ?? latin1(`{${part.elsewhere ?? tag}}${part.kind}${part.number}`);
      if (i > 0 || spelling === undefined) return part;
      const name = part.toString("latin1");
      return latin1(spelling === "lower" ? name.toLowerCase() : name.replaceAll(/.(.?)/g, (pair) => pair[0]!.toLowerCase() + pair.slice(1).toUpperCase()));
    }),
  );
}

/**
 * Random commands whose answers follow from the commands before them.
 *
 * @param entries what the server says of its commands
 * @param offered whether the profile offers a command, subcommands as `container|sub`
 */
export function commands(entries: readonly CommandEntry[], offered: (name: string) => boolean, dump: Buffer): fc.Arbitrary<Command> {
  const flat = entries.flatMap((entry) => [entry, ...entry.subcommands.values()]);
  const routed = flat.filter(({ name, subcommands }) => offered(name) && offered(name.replace(/\|.*/, "")) && subcommands.size === 0 && !LEFT_OUT.has(name));
  const others = routed.filter(({ name, blocking }) => !blocking && !NOT_ARBITRARY.has(name));
  // What empties the cluster leaves little to ask, and what waits takes its time.
  const rare = /^(FLUSH|SCRIPT FLUSH|FUNCTION DELETE)|0\.01|BLOCK/;
  return fc.oneof(
    ...TEMPLATES.map((template) => ({ weight: rare.test(template) ? 1 : 5, arbitrary: fromTemplate(template, dump) })),
    { weight: 2 * TEMPLATES.length, arbitrary: fc.oneof(...others.map(arbitrary)) },
  );
}
