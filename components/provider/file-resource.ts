import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { InvalidValueError } from "../invalid-value-error.ts";
import { inspectFile, setFileAccess, writeFileAtomically } from "./atomic-file.ts";
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
  owner: withDefault(owner, () => `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`),
};

type Inputs = Parsed<typeof fields>;

/** A file with a declared content, mode and owner. Content that nobody has declared at its path is replaced. */
export const fileResource: ResourceType<typeof fields> = {
  fields,
  leftOut: ["content", "source", "sourceSha256"],
  notCompared: [],
  replaceOn: ["path"],
  outputs: [],
  secretOutputs: [],
  expectations: ["sha256"],
  expectedFrom: ["content"],
  expect: (inputs) => ({ sha256: expectedHash(inputs) }),
  preflight({ known, unknown }) {
    const given = (name: "content" | "source" | "sourceSha256"): boolean => known[name] !== undefined || unknown.has(name);
    if (given("content") === given("source")) return Promise.resolve([{ property: "content", reason: "expected exactly one of content and source" }]);
    if (given("source") !== given("sourceSha256")) return Promise.resolve([{ property: "sourceSha256", reason: "belongs to source: both or neither" }]);
    return Promise.resolve([]);
  },
  identify: (inputs) => inputs.path,
  create: write,
  async read(inputs) {
    const facts = await inspectFile(inputs.path);
    return facts === undefined ? undefined : { ...facts };
  },
  async update(inputs) {
    const facts = await inspectFile(inputs.path);
    if (facts?.sha256 !== expectedHash(inputs)) return write(inputs);
    await setFileAccess(inputs.path, inputs.mode, inputs.owner);
    return outcome(inputs);
  },
  async delete(inputs) {
    await rm(inputs.path, { force: true });
  },
};

async function write(inputs: Inputs): Promise<Record<string, unknown>> {
  // Refuses what is no file before a rename would fail with less to say.
  await inspectFile(inputs.path);
  await writeFileAtomically(inputs.path, await loadContent(inputs), inputs.mode, inputs.owner);
  return outcome(inputs);
}

function outcome(inputs: Inputs): Record<string, unknown> {
  return { sha256: expectedHash(inputs), mode: inputs.mode, owner: inputs.owner };
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
