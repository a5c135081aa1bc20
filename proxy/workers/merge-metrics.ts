import type { MetricFamily, MetricSample } from "../server/metrics.ts";

/**
 * Puts the metrics of several processes together: one family of each name, one sample for each set of labels, with the sum, the
 * least or the greatest of their values, as the family says.
 */
export function mergeMetrics(processes: readonly (readonly MetricFamily[])[]): MetricFamily[] {
  const families = new Map<string, { readonly family: MetricFamily; readonly samples: Map<string, MetricSample> }>();
  for (const family of processes.flat()) {
    let merged = families.get(family.name);
    if (merged === undefined) families.set(family.name, (merged = { family, samples: new Map() }));
    for (const sample of family.samples) {
      const key = keyOf(sample);
      const known = merged.samples.get(key);
      merged.samples.set(key, known === undefined ? sample : { ...sample, value: join(known.value, sample.value, family.across ?? "sum") });
    }
  }
  return [...families.values()].map(({ family, samples }) => ({ ...family, samples: [...samples.values()] }));
}

/** Of a process that has ended: what it has counted goes on to count, and what it was is over. */
export function lastingFamilies(families: readonly MetricFamily[]): MetricFamily[] {
  return families.filter(({ type }) => type !== "gauge");
}

function keyOf({ labels, suffix }: MetricSample): string {
  return JSON.stringify([suffix, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

function join(a: number, b: number, how: "sum" | "least" | "greatest"): number {
  if (how === "sum") return a + b;
  return how === "least" ? Math.min(a, b) : Math.max(a, b);
}
