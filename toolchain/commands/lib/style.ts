import { styleText } from "node:util";

type Format = Parameters<typeof styleText>[0];

/** Text in colour where standard output is a terminal that wants it (NO_COLOR is heeded), else as it is. */
export function styled(format: Format, text: string): string {
  return styleText(format, text, { stream: process.stdout, validateStream: true });
}

/** A line that says what is going on. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Rows in columns, each as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  ")).join("\n");
}
