import type { SummaryRow } from "./report.ts";

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
const colours = ["#8c8c8c", "#c8102e", "#2a6f97", "#e09f3e", "#52796f"];

/** Draws the rows as an SVG of bars, each with its number above it. Every group has its own scale: loads differ by orders of magnitude. */
export function plot(rows: readonly SummaryRow[], { title, unit, value }: Plot): string {
  const cells = [...new Set(rows.map(({ cell }) => cell))];
  const peers = [...new Set(rows.filter((row) => value(row) !== undefined).map(({ peer }) => peer))];
  const groupWidth = peers.length * barWidth + gap;
  const parts: string[] = [text(left, 20, title, "bold 14px"), ...peers.map((peer, i) => legend(left + i * 150, 36, peer, colours[i % colours.length]!))];
  for (const [group, cell] of cells.entries()) {
    const values = peers.map((peer) => rows.flatMap((row) => (row.cell === cell && row.peer === peer ? [value(row)] : []))[0]);
    const highest = Math.max(...values.map((one) => one ?? 0));
    const x = left + group * groupWidth;
    for (const [i, one] of values.entries()) {
      if (one === undefined) continue;
      const size = highest === 0 ? 0 : (one / highest) * height;
      const at = x + i * barWidth;
      parts.push(`<rect x="${at}" y="${(top + 14 + height - size).toFixed(1)}" width="${barWidth - 4}" height="${size.toFixed(1)}" fill="${colours[i % colours.length]!}"/>`);
      parts.push(text(at + (barWidth - 4) / 2, top + 10 + height - size, short(one), "9px", "middle"));
    }
    for (const [line, words] of wrap(cell).entries()) parts.push(text(x + (groupWidth - gap) / 2, top + 32 + height + 13 * line, words, "11px", "middle"));
  }
  const width = left * 2 + Math.max(cells.length * groupWidth, peers.length * 150);
  const total = top + height + 90;
  parts.push(text(left, total - 10, unit, "italic 11px"));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${total}" font-family="sans-serif">\n<rect width="100%" height="100%" fill="#ffffff"/>\n${parts.join("\n")}\n</svg>\n`;
}

function legend(x: number, y: number, name: string, colour: string): string {
  return `<rect x="${x}" y="${y}" width="10" height="10" fill="${colour}"/>\n${text(x + 15, y + 9, name, "11px")}`;
}

function text(x: number, y: number, words: string, font: string, anchor = "start"): string {
  return `<text x="${x}" y="${y.toFixed(1)}" text-anchor="${anchor}" style="font:${font} sans-serif">${words.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</text>`;
}

function short(value: number): string {
  if (value >= 100_000) return `${Math.round(value / 1_000)}k`;
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

function wrap(cell: string): string[] {
  return cell.split(", ");
}
