/** A value that `resp` can write: a text becomes a bulk string, null a null bulk string. */
export type Value = string | number | null | readonly Value[];

/** A reply as RESP2. */
export function resp(value: Value): string {
  if (value === null) return "$-1\r\n";
  if (typeof value === "number") return `:${value}\r\n`;
  if (typeof value === "string") return `$${Buffer.byteLength(value, "latin1")}\r\n${value}\r\n`;
  return `*${value.length}\r\n${value.map(resp).join("")}`;
}
