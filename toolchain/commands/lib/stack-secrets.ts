import { pulumiOutput } from "./pulumi.ts";

interface Exported {
  readonly deployment?: { readonly resources?: readonly { readonly urn: string; readonly delete?: boolean; readonly outputs?: Readonly<Record<string, unknown>> }[] };
}

/** The text outputs of a stack's resources, secrets in clear, by resource name and output. Never to be written anywhere. */
export type StackSecrets = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Reads a stack's secrets into this process. */
export async function stackSecrets(stack: string): Promise<StackSecrets> {
  const { deployment } = JSON.parse(await pulumiOutput(["stack", "export", "--show-secrets", "--stack", stack])) as Exported;
  // What was replaced and is still to be deleted has the name of what replaces it.
  const resources = (deployment?.resources ?? []).filter((resource) => resource.delete !== true);
  return new Map(resources.map(({ urn, outputs }) => [urn.split("::").at(-1)!, new Map(Object.entries(outputs ?? {}).flatMap(([name, value]) => textOf(value).map((text) => [name, text])))]));
}

/** A secret in an export holds its value as JSON in `plaintext`. */
function textOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null || !("plaintext" in value)) return [];
  const plain: unknown = JSON.parse(String(value.plaintext));
  return typeof plain === "string" ? [plain] : [];
}
