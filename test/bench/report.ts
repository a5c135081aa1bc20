import type { FixedRateSample } from "./fixed-rate.ts";
import type { Sample } from "./load.ts";
import { median } from "./statistics.ts";

/** Medians of one peer under one load. */
export interface SummaryRow {
  readonly cell: string;
  readonly peer: string;
  readonly requestsPerSecond: number;
  /** Median of the ratios to the direct connection, round by round; undefined where that was not measured. */
  readonly ratioToDirect: number | undefined;
  /** As in `Sample`. */
  readonly cpuMicros: number | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentMib: number | undefined;
}

/** Medians over the rounds. @param samples by cell and peer, round by round */
export function summarize(samples: ReadonlyMap<string, ReadonlyMap<string, readonly Sample[]>>): SummaryRow[] {
  return [...samples].flatMap(([cell, peers]) => {
    const direct = peers.get("direct");
    return [...peers].map(([peer, runs]): SummaryRow => {
      const of = (value: (run: Sample) => number | undefined): number | undefined => {
        const values = runs.map(value).filter((one) => one !== undefined);
        return values.length === 0 ? undefined : median(values);
      };
      return {
        cell,
        peer,
        requestsPerSecond: of((run) => run.requestsPerSecond) ?? NaN,
        ratioToDirect: direct === undefined ? undefined : median(runs.map((run, round) => run.requestsPerSecond / direct[round]!.requestsPerSecond)),
        cpuMicros: of((run) => run.cpuMicros),
        p50Ms: of((run) => run.p50Ms) ?? NaN,
        p99Ms: of((run) => run.p99Ms) ?? NaN,
        residentMib: of((run) => (run.residentKib === undefined ? undefined : run.residentKib / 1024)),
      };
    });
  });
}

/** Medians over the rounds of what a steady rate showed, as a table in Markdown. @param samples by peer */
export function latencyTable(samples: ReadonlyMap<string, readonly FixedRateSample[]>): string {
  const of = (runs: readonly FixedRateSample[], value: keyof FixedRateSample): string => median(runs.map((run) => run[value])).toFixed(value === "requestsPerSecond" ? 0 : 2);
  const rows = [...samples].map(([peer, runs]) => [peer, ...(["requestsPerSecond", "p50Ms", "p99Ms", "p999Ms", "generatorP99Ms"] as const).map((value) => of(runs, value))]);
  return markdown(["peer", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "generator late p99 ms"], 1, rows);
}

/** The rows as a table in Markdown, which reads well on a terminal too. */
export function table(rows: readonly SummaryRow[]): string {
  const number = (value: number | undefined, digits: number): string => (value === undefined ? "" : value.toFixed(digits));
  const heading = ["load", "peer", "requests/s", "x direct", "CPU us/request", "p50 ms", "p99 ms", "MiB"];
  const body = rows.map((row) => [row.cell, row.peer, number(row.requestsPerSecond, 0), number(row.ratioToDirect, 2), number(row.cpuMicros, 2), number(row.p50Ms, 2), number(row.p99Ms, 2), number(row.residentMib, 0)]);
  return markdown(heading, 2, body);
}

/** @param texts the first columns, which are no numbers */
function markdown(heading: readonly string[], texts: number, body: readonly (readonly string[])[]): string {
  const widths = heading.map((title, column) => Math.max(title.length, ...body.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => (column < texts ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(" | ")} |`;
  const rule = `| ${widths.map((width, column) => (column < texts ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(heading), rule, ...body.map(line)].join("\n");
}
