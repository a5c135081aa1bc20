/** One value of a metric, with its labels. */
export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** What follows the family's name: histograms and summaries have `_bucket`, `_sum` and `_count`. */
  readonly suffix?: "_bucket" | "_sum" | "_count";
}

/** A metric with all its samples. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary" | "untyped";
  readonly samples: readonly MetricSample[];
  /** What the value is over several processes. @default "sum" */
  readonly across?: "sum" | "least" | "greatest";
}

/** The media type of what `renderMetrics` makes. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;

/** A metric or label has a name that Prometheus does not take, or two families have one name: `METRIC_NAME_INVALID`. */
export class MetricNameError extends Error {
  readonly code = "METRIC_NAME_INVALID";

  constructor(message: string) {
    super(message);
    this.name = "MetricNameError";
  }
}

/**
 * Renders metrics in Prometheus's text format, version 0.0.4 (Prometheus documentation, "Exposition formats").
 *
 * @throws MetricNameError
 */
export function renderMetrics(families: readonly MetricFamily[]): string {
  const seen = new Set<string>();
  return families
    .map((family) => {
      if (!METRIC_NAME.test(family.name)) throw new MetricNameError(`the metric ${JSON.stringify(family.name)}: its name must match ${METRIC_NAME.source}`);
      if (seen.has(family.name)) throw new MetricNameError(`the metric ${family.name} is there twice; all its samples belong into one family`);
      seen.add(family.name);
      return renderFamily(family);
    })
    .join("");
}

function renderFamily({ name, help, type, samples }: MetricFamily): string {
  const lines = samples.map(({ labels, value, suffix }) => `${name}${suffix ?? ""}${renderLabels(name, labels)} ${renderValue(value)}\n`);
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function renderLabels(metric: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    if (!LABEL_NAME.test(name)) throw new MetricNameError(`the label ${JSON.stringify(name)} of ${metric}: its name must match ${LABEL_NAME.source}`);
    return `${name}="${escapeLabel(value)}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** As Go's ParseFloat reads it. */
function renderValue(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}

/** In a help text a backslash and a line feed are escaped; in a label's value a double quote as well. */
function escapeHelp(text: string): string {
  return text.toWellFormed().replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replace(/"/g, '\\"');
}
