const colours = ["#8c8c8c", "#c8102e", "#2a6f97", "#e09f3e", "#52796f"];

/** One of a few colours, by a number from 0. */
export function colour(index: number): string {
  return colours[index % colours.length]!;
}

/** A picture of so many pixels, of its parts. */
export function drawing(width: number, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif">\n<rect width="100%" height="100%" fill="#ffffff"/>\n${parts.join("\n")}\n</svg>\n`;
}

/** A name beside a patch of its colour. */
export function legend(x: number, y: number, name: string, fill: string): string {
  return `<rect x="${x}" y="${y}" width="10" height="10" fill="${fill}"/>\n${text(x + 15, y + 9, name, "11px")}`;
}

/** Words that begin, are centred or end at a point. */
export function text(x: number, y: number, words: string, font: string, anchor: "start" | "middle" | "end" = "start"): string {
  return `<text x="${x}" y="${y.toFixed(1)}" text-anchor="${anchor}" style="font:${font} sans-serif">${words.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</text>`;
}

/** A number in a few characters. */
export function short(value: number): string {
  if (value >= 100_000) return `${Math.round(value / 1_000)}k`;
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}
