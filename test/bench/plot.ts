import type { SummaryRow } from "./report.ts";
import { colour, drawing, legend, short, text } from "./svg.ts";

/** One group of bars for each load, one bar for each peer. */
export interface Plot {
  readonly title: string;
  readonly unit: string;
  readonly value: (row: SummaryRow) => number | undefined;
}

const barWidth = 26;
const gap = 34;
const top = 56;
const height = 220;
const left = 16;

/** Draws the rows as an SVG of bars, each with its number above it. Every group has its own scale: loads differ by orders of magnitude. */
export function plot(rows: readonly SummaryRow[], { title, unit, value }: Plot): string {
  const cells = [...new Set(rows.map(({ cell }) => cell))];
  const peers = [...new Set(rows.filter((row) => value(row) !== undefined).map(({ peer }) => peer))];
  const groupWidth = peers.length * barWidth + gap;
  const parts: string[] = [text(left, 20, title, "bold 14px"), ...peers.map((peer, i) => legend(left + i * 150, 36, peer, colour(i)))];
  for (const [group, cell] of cells.entries()) {
    const values = peers.map((peer) => rows.flatMap((row) => (row.cell === cell && row.peer === peer ? [value(row)] : []))[0]);
    const highest = Math.max(...values.map((one) => one ?? 0));
    const x = left + group * groupWidth;
    for (const [i, one] of values.entries()) {
      if (one === undefined) continue;
      const size = highest === 0 ? 0 : (one / highest) * height;
      const at = x + i * barWidth;
      parts.push(`<rect x="${at}" y="${(top + 14 + height - size).toFixed(1)}" width="${barWidth - 4}" height="${size.toFixed(1)}" fill="${colour(i)}"/>`);
      parts.push(text(at + (barWidth - 4) / 2, top + 10 + height - size, short(one), "9px", "middle"));
    }
    for (const [line, words] of wrap(cell).entries()) parts.push(text(x + (groupWidth - gap) / 2, top + 32 + height + 13 * line, words, "11px", "middle"));
  }
  const width = left * 2 + Math.max(cells.length * groupWidth, peers.length * 150);
  const total = top + height + 90;
  parts.push(text(left, total - 10, unit, "italic 11px"));
  return drawing(width, total, parts);
}

function wrap(cell: string): string[] {
  return cell.split(", ");
}
