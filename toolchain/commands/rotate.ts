/** `npm run rotate`: replaces an authority, certificates or a password without an outage, step by step. */
import path from "node:path";
import { readRotations } from "../../components/rotation-record.ts";
import { formatRotation, isSameStep, nextMove, rotationGoal } from "../../components/rotation.ts";
import type { Rotation, RotationFound } from "../../components/rotation.ts";
import { readRotationRecord } from "../../stacks/rotations.ts";
import { readCommandLine } from "./lib/command-line.ts";
import { configure, stackConfiguration } from "./lib/configuration.ts";
import { stackOutputs } from "./lib/outputs.ts";
import { fingerprints, Generations, proveRenewed, proveStep } from "./lib/rotation-proof.ts";
import type { Place } from "./lib/rotation-proof.ts";
import { readTarget, targetWords } from "./lib/rotation-target.ts";
import type { CertificatesTarget, PhasedTarget, RotationTarget } from "./lib/rotation-target.ts";
import { run } from "./lib/run.ts";
import { selectStack, updateStack } from "./lib/stack.ts";
import { stackSecrets } from "./lib/stack-secrets.ts";
import { say, styled } from "./lib/style.ts";

const { stack, switches, words } = readCommandLine(
  "npm run rotate",
  [
    "Replaces an authority, certificates or a password while everybody works on. Each step sets the stack's configuration, updates",
    "it and is proven by handshakes with every node and the proxy. Cut off, the same command goes on from what it finds.",
  ].join("\n"),
  {
    step: "take one step only",
    rollback: "go back to what was before; until the last step is begun",
    "drop-old": "of an application's password, once the application has the new one: the last step",
  },
  { name: "WHAT", meanings: targetWords },
);

const target = targetOf(words);

await run(async () => {
  if (switches.has("rollback") && target.kind === "certificates") throw new Error(`${target.name} are replaced in one step, which there is nothing to go back from: without --rollback the command makes further new ones`);
  await selectStack(stack);
  const place = await placeOf();
  await (target.kind === "certificates" ? renew(target, place) : rotate(target, place));
});

/** A word that is wrong ends the process as an option does that is wrong. */
function targetOf(given: readonly string[]): RotationTarget {
  try {
    return readTarget(given);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

async function placeOf(): Promise<Place> {
  const { clientFiles, nodes = [], connectionUri } = await stackOutputs(stack, false);
  if (clientFiles === undefined || connectionUri === undefined) throw new Error(`Stack ${stack} is not up, so there is nothing to rotate. To make it: npm start -- --stack ${stack}`);
  const { hostname, port } = new URL(connectionUri);
  // The client's files lie in <directory>/client.
  return { stack, directory: path.dirname(path.dirname(clientFiles.ca)), nodes, proxy: { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) } };
}

/** A certificate's number in the configuration tells which one is wanted; the outputs of the last update, which one it has made. */
async function renew(target: CertificatesTarget, place: Place): Promise<void> {
  const declared = (await stackConfiguration(stack)).get(target.property) ?? "1";
  const made = (await stackOutputs(stack, false)).rotationSteps?.[target.property];
  const before = await fingerprints(target, place);
  const wanted = made === undefined || made === declared ? String(Number(declared) + 1) : declared;
  say(`Stack ${stack}: ${wanted === declared ? "going on with making" : "making"} ${target.name} anew (${target.property} ${wanted}) …`);
  await configure(stack, target.property, wanted);
  await updateStack(stack);
  const after = await fingerprints(target, place);
  say(wanted === declared ? "They are what the update that was cut off had begun." : proveRenewed(before, after));
  say(styled("green", `Stack ${stack}: ${target.name}: done.`));
}

async function rotate(target: PhasedTarget, place: Place): Promise<void> {
  let found = await look(target, place);
  const goal = rotationGoal(target.property, target.kind, found, switches.has("rollback") ? "rollback" : "forward");
  const known = new Generations();
  const learn = async (): Promise<void> => {
    known.learn(target, stack, await stackSecrets(stack));
  };
  await learn();
  say(`Stack ${stack}: ${target.name} is ${describe(found)}; going to "${formatRotation(goal)}".`);
  for (let steps = 0; ; steps++) {
    if (isSameStep(found.begun, found.from)) say(`  ${await proveStep(target, found.begun, place, known)}`);
    const move = nextMove(target.kind, found, goal);
    if (move.kind === "finished") break;
    if ((steps > 0 && switches.has("step")) || mustWait(target, move.step, goal)) {
      say(styled("yellow", whatNext(target, found.begun, move.step)));
      return;
    }
    await take(target, move.step);
    await learn();
    found = await look(target, place);
  }
  say(styled("green", `Stack ${stack}: ${target.name} is at "${formatRotation(goal)}": done.`));
}

async function take(target: PhasedTarget, step: Rotation): Promise<void> {
  say(styled("bold", `${target.property}: ${formatRotation(step)}`));
  await configure(stack, target.property, formatRotation(step));
  await updateStack(stack);
}

/** How far the rotation is, by what earlier updates have written down. */
async function look({ property, kind }: PhasedTarget, { directory }: Place): Promise<RotationFound> {
  const found = readRotations(readRotationRecord(directory), [{ property, kind }]).get(property);
  if (found !== undefined) return found;
  const { rotationSteps } = await stackOutputs(stack, false);
  const known = Object.keys(rotationSteps ?? {}).filter((name) => name.startsWith("passwordRotations.")).map((name) => name.slice("passwordRotations.".length));
  if (kind === "password" && known.length > 0 && rotationSteps?.[property] === undefined) throw new Error(`${property}: there is no such user; expected one of ${known.join(", ")}`);
  throw new Error(`${property}: how far it is, is not written in ${directory}. To write it: npm start -- --stack ${stack}`);
}

/** The old password of an application goes only when somebody says that the application has the new one. */
function mustWait(target: PhasedTarget, step: Rotation, goal: Rotation): boolean {
  return target.usedOutside && isSameStep(step, goal) && !switches.has("rollback") && !switches.has("drop-old");
}

function whatNext({ property, kind, user, usedOutside }: PhasedTarget, at: Rotation, next: Rotation): string {
  const command = `npm run rotate -- ${kind === "password" ? `password ${user!}` : property === "redisCaRotation" ? "redis-ca" : "db-client-ca"} --stack ${stack}`;
  if (usedOutside && next.phase === "standby" && next.generation === at.generation) {
    return `Both passwords of ${user!} are valid. Give the new one to whoever logs in as ${user!}: npm run --silent outputs -- --stack ${stack} --show-secrets\nThen, to drop the old one: ${command} --drop-old`;
  }
  return `Next is "${formatRotation(next)}": ${command}. To go back: ${command} --rollback`;
}

function describe({ begun, from }: RotationFound): string {
  if (isSameStep(begun, from)) return `at "${formatRotation(begun)}"`;
  return `between "${formatRotation(from)}" and "${formatRotation(begun)}", where an update was cut off`;
}
