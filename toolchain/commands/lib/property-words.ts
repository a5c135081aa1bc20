/** What a property is to an operator, where its name does not say it. */
const words: Readonly<Record<string, string>> = {
  sha256: "content",
  restartOn: "what it reads",
  reloadOn: "what it reads",
  nodeDeclaration: "configuration",
  proxyDeclaration: "configuration",
  fingerprint: "what it was started with",
  former: "nodes",
};

/** The engine's names of properties that differ, in words, each once. */
export function propertyWords(properties: readonly string[]): string[] {
  return [...new Set(properties.map((property) => words[property] ?? property))];
}

/**
 * Properties that change because another resource does. A difference in the world has its findings; without one, `drift` is among
 * what will be known only once that other resource has changed.
 */
export const consequences: ReadonlySet<string> = new Set(["memberPids", "drift"]);
