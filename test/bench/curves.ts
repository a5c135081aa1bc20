import type { Cell } from "./load.ts";
import type { CurvePoint } from "./curve-plot.ts";
import { cellName } from "./load.ts";
import type { SummaryRow } from "./report.ts";

/** One of what makes a load, taken through its range while the rest stays as it is. */
export interface Curve {
  /** A word for file names. */
  readonly name: string;
  readonly xAxis: string;
  readonly points: readonly { readonly x: number; readonly cell: Cell }[];
}

const valueBytes = 64;
const connections = 50;
const depth = 16;
const transferredBytes = 1_000_000_000;
const fewestRequests = 2_000;
const mostRequests = 300_000;
const unpipelinedRequests = 40_000;

/** How what a GET costs goes with the number of connections, with the depth of pipelines and with the size of values. */
export const curves: readonly Curve[] = [
  curve("connections", `connections (pipelines of ${depth}, ${valueBytes} bytes)`, [1, 4, 16, 50, 200, 500, 1_000], (x) => ({ connections: x, requests: mostRequests })),
  curve("pipeline", `requests in a pipeline (${connections} connections, ${valueBytes} bytes)`, [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024], (x) => ({ pipeline: x, requests: Math.min(mostRequests, unpipelinedRequests * x) })),
  curve("value", `bytes of a value (${connections} connections, no pipelines)`, [16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576], (x) => ({
    bytes: x,
    pipeline: 1,
    requests: Math.round(Math.max(fewestRequests, Math.min(unpipelinedRequests, transferredBytes / x))),
  })),
];

function curve(name: string, xAxis: string, xs: readonly number[], of: (x: number) => Partial<Cell>): Curve {
  return { name, xAxis, points: xs.map((x) => ({ x, cell: { command: "GET", bytes: valueBytes, pipeline: depth, connections, requests: 0, ...of(x) } })) };
}

/** What the peers' processes took for a request, along a curve. */
export function costAlong({ points }: Curve, rows: readonly SummaryRow[]): CurvePoint[] {
  return points.map(({ x, cell }) => ({
    x,
    values: new Map(rows.flatMap((row) => (row.cell === cellName(cell) && row.cpuMicros !== undefined && row.cpuMicros > 0 ? [[row.peer, row.cpuMicros]] : []))),
  }));
}
