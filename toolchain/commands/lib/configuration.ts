import { pulumiOutput } from "./pulumi.ts";

const project = "redis-access";

/** The values that a stack's own configuration sets, by key without the project's name, as text; objects as JSON. */
export async function stackConfiguration(stack: string): Promise<ReadonlyMap<string, string>> {
  const all = JSON.parse(await pulumiOutput(["config", "--json", "--stack", stack])) as Readonly<Record<string, { readonly value?: string }>>;
  const own = Object.entries(all).filter(([key]) => key.startsWith(`${project}:`));
  return new Map(own.map(([key, { value }]) => [key.slice(project.length + 1), value ?? ""]));
}

/** Sets a key of a stack's configuration. `map.name` sets one name of a map. */
export async function configure(stack: string, property: string, value: string): Promise<void> {
  const [key, ...names] = property.split(".");
  // A name may hold anything, such as a dot.
  const path = names.length === 0 ? key! : `${key!}[${JSON.stringify(names.join("."))}]`;
  await pulumiOutput(["config", "set", "--stack", stack, "--path", path, value]);
}
