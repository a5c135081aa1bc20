import { colour, drawing, legend, short, text } from "./svg.ts";

/** What is measured at one place of a curve, by peer; undefined where a peer has no such value. */
export interface CurvePoint {
  readonly x: number;
  readonly values: ReadonlyMap<string, number>;
}

const left = 60;
const top = 62;
const width = 460;
const height = 240;
const decade = 10;

/**
 * Draws one line for each peer, both axes logarithmic: what grows in proportion is a straight line, and a knee is one.
 *
 * @param points by growing x, all above 0
 */
export function curvePlot(points: readonly CurvePoint[], { title, xAxis, unit }: { readonly title: string; readonly xAxis: string; readonly unit: string }): string {
  const peers = [...new Set(points.flatMap(({ values }) => [...values.keys()]))];
  const all = points.flatMap(({ values }) => [...values.values()]);
  const x = scale(points.map((point) => point.x), left, left + width);
  const y = scale([lowerBound(all), upperBound(all)], top + height, top);
  const parts = [text(16, 20, title, "bold 14px"), ...peers.map((peer, i) => legend(16 + i * 150, 36, peer, colour(i + 1)))];
  for (let value = lowerBound(all); value <= upperBound(all); value *= decade) {
    parts.push(`<line x1="${left}" x2="${left + width}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#dddddd"/>`, text(left - 6, y(value) + 4, short(value), "11px", "end"));
  }
  for (const point of points) parts.push(text(x(point.x), top + height + 18, short(point.x), "11px", "middle"));
  for (const [i, peer] of peers.entries()) {
    const places = points.flatMap((point) => {
      const value = point.values.get(peer);
      return value === undefined ? [] : [`${x(point.x).toFixed(1)},${y(value).toFixed(1)}`];
    });
    parts.push(`<polyline points="${places.join(" ")}" fill="none" stroke="${colour(i + 1)}" stroke-width="2"/>`);
    for (const place of places) parts.push(`<circle cx="${place.replace(",", '" cy="')}" r="3" fill="${colour(i + 1)}"/>`);
  }
  parts.push(text(left + width / 2, top + height + 38, xAxis, "11px", "middle"), text(16, top + height + 60, unit, "italic 11px"));
  return drawing(left + width + 30, top + height + 74, parts);
}

function scale(values: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  return (value) => from + (high === low ? 0.5 : (Math.log(value) - low) / (high - low)) * (to - from);
}

function lowerBound(values: readonly number[]): number {
  return decade ** Math.floor(Math.log10(Math.min(...values)));
}

function upperBound(values: readonly number[]): number {
  return decade ** Math.ceil(Math.log10(Math.max(...values)));
}
