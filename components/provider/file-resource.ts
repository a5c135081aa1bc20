import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { basename } from "node:path";
import { InvalidValueError } from "../invalid-value-error.ts";
import type { Finding } from "../drift.ts";
import { nameSecret } from "../drift.ts";
import { inspectFile, NotAFileError, ownOwner, setFileAccess, writeFileAtomically } from "./atomic-file.ts";
import type { FileFacts } from "./atomic-file.ts";
import { mode, optional, owner, path, sha256, text, withDefault } from "../fields.ts";
import type { Parsed } from "../fields.ts";
import type { ResourceType } from "./resource-type.ts";

const fields = {
  path,
  /** The content itself; either this or `source`. */
  content: optional(text),
  /** A local file to copy, with `sourceSha256`: for what is too large for the state. */
  source: optional(path),
  sourceSha256: optional(sha256),
  mode: withDefault(mode, "0600"),
  owner: withDefault(owner, ownOwner),
};

type Inputs = Parsed<typeof fields>;

/**
 * A file with a declared content, mode and owner. Its hash is shown even where its content is secret: the secrets of this
 * toolkit are 256 random bits, which a hash does not give away.
 * Content that nobody has declared at its path is replaced.
 */
export const fileResource: ResourceType<typeof fields> = {
  fields,
  leftOut: ["content", "source", "sourceSha256"],
  notCompared: [],
  replaceOn: ["path"],
  outputs: [],
  secretOutputs: [],
  expectations: ["sha256", "drift"],
  expectedFrom: [],
  expect: (inputs) => ({ sha256: expectedHash(inputs), drift: [] }),
  preflight({ known, unknown }) {
    const given = (name: "content" | "source" | "sourceSha256"): boolean => known[name] !== undefined || unknown.has(name);
    if (given("content") === given("source")) return Promise.resolve([{ property: "content", reason: "expected exactly one of content and source" }]);
    if (given("source") !== given("sourceSha256")) return Promise.resolve([{ property: "sourceSha256", reason: "belongs to source: both or neither" }]);
    return Promise.resolve([]);
  },
  identify: (inputs) => inputs.path,
  create: place,
  async read(inputs) {
    const facts = await inspectFile(inputs.path).catch(obstacleIn);
    if (typeof facts === "string") return { drift: [{ thing: basename(inputs.path), declared: "a file", actual: facts, mend: "refuse" }] };
    return facts === undefined ? undefined : { sha256: facts.sha256, mode: facts.mode, owner: facts.owner, drift: compareFile(inputs, facts) };
  },
  update: place,
  async delete(inputs) {
    await rm(inputs.path, { force: true });
  },
};

function obstacleIn(error: unknown): string {
  if (error instanceof NotAFileError) return error.message;
  throw error;
}

function compareFile(inputs: Inputs, facts: FileFacts): Finding[] {
  const name = basename(inputs.path);
  const findings: Finding[] = [];
  const declared = expectedHash(inputs);
  if (facts.sha256 !== declared) findings.push({ thing: `content of ${name}`, declared: nameSecret(declared), actual: nameSecret(facts.sha256), since: facts.writtenAt.toISOString(), mend: "write" });
  for (const fact of ["mode", "owner"] as const) {
    if (facts[fact] !== inputs[fact]) findings.push({ thing: `${fact} of ${name}`, declared: inputs[fact], actual: facts[fact], since: facts.touchedAt.toISOString(), mend: "write" });
  }
  return findings;
}

/** Writes the file unless its content is there already: what a lost state does not know may be in use as it is. */
async function place(inputs: Inputs): Promise<Record<string, unknown>> {
  // Refuses what is no file before a rename would fail with less to say.
  const facts = await inspectFile(inputs.path);
  if (facts?.sha256 === expectedHash(inputs)) await setFileAccess(inputs.path, inputs.mode, inputs.owner);
  else await writeFileAtomically(inputs.path, await loadContent(inputs), inputs.mode, inputs.owner);
  return outcome(inputs);
}

function outcome(inputs: Inputs): Record<string, unknown> {
  return { sha256: expectedHash(inputs), mode: inputs.mode, owner: inputs.owner, drift: [] };
}

async function loadContent({ content, source, sourceSha256 }: Inputs): Promise<Uint8Array | string> {
  if (source === undefined) return content ?? "";
  const bytes = await readFile(source);
  const actual = digest(bytes);
  if (actual !== sourceSha256) {
    throw new InvalidValueError("source", `${source} has SHA-256 ${actual}, not the declared ${sourceSha256 ?? "none"}; it changed while the program ran`);
  }
  return bytes;
}

function expectedHash({ content, sourceSha256 }: Inputs): string {
  return sourceSha256 ?? digest(content ?? "");
}

function digest(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}
