import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { GUIDE_PROFILE } from "../../proxy/routing/profile.ts";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { fuzzSeed } from "../support/fuzz.ts";
import { pieces } from "../support/pieces.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { TestCluster } from "../support/redis-cluster.ts";
import type { TestClusterOptions } from "../support/redis-cluster.ts";
import { inlineCommand } from "../support/request-bytes.ts";
import { sized } from "../support/soak.ts";
import { commands } from "./differential/commands.ts";
import type { Command } from "./differential/commands.ts";
import { DirectCluster } from "./differential/direct-cluster.ts";
import { bound, errorReply, repliesTo } from "./differential/replies.ts";

// Random commands go to one cluster through the proxy, in pipelines and pieces, and to another, equal one straight to the nodes
// that own their keys, one after the other. All that is answered must be the same to the byte; but for what the server's own
// command tips leave open (a random element, the time, the order of a set), which is held to the type or to the elements.

// Nodes that have little of a shared machine must not be taken for dead.
const patient: TestClusterOptions = { ...threeMasters, nodeTimeoutMs: 15_000 };
const fixtures = clusterBehindProxy(patient);
let other: TestCluster;
let direct: DirectCluster;
before(async () => {
  other = await TestCluster.start(patient);
  direct = await DirectCluster.open(other);
});
after(async () => {
  direct.close();
  await other.stop();
});

interface Round {
  readonly commands: readonly Command[];
  /** Commands sent before their replies are awaited. */
  readonly depth: number;
  /** Sizes of the pieces in which they are written. */
  readonly sizes: readonly number[];
  /** Every so many-th command is sent as a line, where it is short enough. */
  readonly inline: number;
}

const longestLine = 60_000;

async function throughProxy(client: RawConnection, round: Round): Promise<Buffer[]> {
  const replies: Buffer[] = [];
  for (let at = 0; at < round.commands.length; at += round.depth) {
    const batch = round.commands.slice(at, at + round.depth);
    const encoded = batch.map((command, i) => {
      const line = round.inline > 0 && (at + i) % round.inline === 0 ? inlineCommand(command) : undefined;
      return line === undefined || line.length > longestLine ? encodeCommand(command) : line;
    });
    for (const piece of pieces(Buffer.concat(encoded), ...round.sizes)) {
      client.socket.write(piece);
      if (piece.length % 3 === 0) await turn();
    }
    for (const command of batch) replies.push(await repliesTo(command, client));
  }
  return replies;
}

const clearing = [["FLUSHALL"], ["SCRIPT", "FLUSH"], ["FUNCTION", "FLUSH"]].map((command) => command.map((word) => Buffer.from(word)));
const shown = (command: Command): string => command.map((part) => JSON.stringify(part.toString("latin1", 0, 60))).join(" ");

test("random commands are answered through the proxy as by the nodes that own their keys, byte for byte", async (context) => {
  const { entries, freedoms } = await direct.commands();
  await direct.run(["SET", "dumped", "some value"].map((word) => Buffer.from(word)));
  const dump = (await direct.run(["DUMP", "dumped"].map((word) => Buffer.from(word)))).subarray(4).subarray(1, -2);
  const tried = new Map<string, { sent: number; well: number }>();
  const round = fc.record({
    commands: fc.array(commands(entries, (name) => !GUIDE_PROFILE.refused.has(name), dump), { minLength: 1, maxLength: 150, size: "max" }),
    depth: fc.constantFrom(1, 3, 20, 150),
    sizes: fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 6 }),
    inline: fc.constantFrom(0, 0, 2, 7),
  });
  const differs = async (some: Round): Promise<void> => {
    const client = await RawConnection.open(fixtures.proxy);
    try {
      for (const command of clearing) {
        assert.equal(await client.ask(...command), "+OK\r\n");
        assert.equal((await direct.run(command)).toString(), "+OK\r\n");
      }
      const [replies, expectedReplies] = await Promise.all([throughProxy(client, some), direct.runAll(some.commands)]);
      for (const [i, command] of some.commands.entries()) {
        const expected = expectedReplies[i]!;
        const [name, sub] = command.map((part) => part.toString("latin1").toLowerCase());
        const full = freedoms.has(`${name!}|${sub!}`) ? `${name!}|${sub!}` : name!;
        const count = tried.get(name!) ?? { sent: 0, well: 0 };
        tried.set(name!, { sent: count.sent + 1, well: count.well + Number(!errorReply(expected)) });
        assert.equal(bound(replies[i]!, freedoms.get(full)), bound(expected, freedoms.get(full)), `command ${i}: ${shown(command)}`);
      }
      assert.equal(client.waiting, 0, "replies to nothing");
    } finally {
      client.close();
    }
  };
  await fc.assert(fc.asyncProperty(round, differs), {
    ...{ seed: fuzzSeed(context), numRuns: sized(10_000, 1_000_000) },
    ...{ interruptAfterTimeLimit: sized(15_000, 1_800_000), markInterruptAsFailure: false },
    reporter: (details) => {
      context.diagnostic(`${details.numRuns} sequences`);
      if (details.failed) throw new Error(fc.defaultReportMessage(details) ?? "", { cause: details.errorInstance });
    },
  });
  const all = [...tried.values()];
  const well = [...tried].filter(([, count]) => count.well > 0).length;
  context.diagnostic(`${all.reduce((sum, { sent }) => sum + sent, 0)} commands, ${all.reduce((sum, count) => sum + count.well, 0)} without an error; ${tried.size} names, ${well} of them once without an error`);
  assert.ok(well >= 120, "most commands were once more than an error");
});
