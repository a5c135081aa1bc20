/** Whether the long forms are wanted (`npm run soak`): hours of a machine of one's own, not minutes of a shared one. */
export const soak = process.env["SOAK"] === "1";

/** The size of something in the short form, and in the long one. */
export function sized(short: number, long: number): number {
  return soak ? long : short;
}
