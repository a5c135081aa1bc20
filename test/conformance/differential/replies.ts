import type { ReplyValue } from "../../../proxy/resp/reply-decoder.ts";
import type { RawConnection } from "../../support/raw-connection.ts";
import { endOfReply } from "../../support/reply-reading.ts";
import type { Command } from "./commands.ts";

/** The replies that a command has, one behind the other: one, or one for each channel that is left. */
export async function repliesTo(command: Command, connection: RawConnection): Promise<Buffer> {
  const channels = /^unsubscribe$/i.test(command[0]!.toString("latin1")) ? command.length - 1 : 1;
  const replies: Buffer[] = [];
  while (replies.length < Math.max(1, channels)) replies.push(await connection.replyBytes());
  return Buffer.concat(replies);
}

/** Whether a reply is an error. */
export function errorReply(reply: Buffer): boolean {
  return reply[0] === "-".charCodeAt(0);
}

/** The elements of an array, each a whole reply; undefined for a reply of another type. */
export function elementsOf(reply: Buffer): Buffer[] | undefined {
  if (reply[0] !== "*".charCodeAt(0)) return undefined;
  const elements: Buffer[] = [];
  for (let pos = reply.indexOf("\n") + 1; pos < reply.length; ) {
    const end = endOfReply(reply, pos)!;
    elements.push(reply.subarray(pos, end));
    pos = end;
  }
  return elements;
}

/** What the server leaves open of a command's reply: that it may be another each time, or in another order, or that a moment in it follows the server's clock. */
export type Freedom = "any" | "anyOrder" | "moment";

/** Commands that tell a moment, which the server has mostly reckoned from a distance in time (SETEX, EXPIRE). */
const MOMENTS = new Set(["expiretime", "pexpiretime"]);

/** By command (subcommands as `container|sub`), from the reply of COMMAND (Redis command tips, `nondeterministic_output` and `…_order`); and moments. */
export function freedoms(entries: ReplyValue): Map<string, Freedom> {
  const found = new Map<string, Freedom>();
  for (const entry of entries as ReplyValue[][]) {
    const tips = entry[7] as string[];
    if (tips.includes("nondeterministic_output")) found.set(String(entry[0]), "any");
    else if (MOMENTS.has(String(entry[0]))) found.set(String(entry[0]), "moment");
    else if (tips.includes("nondeterministic_output_order")) found.set(String(entry[0]), "anyOrder");
    for (const [name, freedom] of freedoms(entry[9]!)) found.set(name, freedom);
  }
  return found;
}

/** A reply without what the server leaves open: elements sorted (COMMAND DOCS has lists in its lists), or no more than its type. Errors stay as they are. */
export function bound(reply: Buffer, freedom: Freedom | undefined): string {
  const text = reply.toString("latin1");
  if (freedom === undefined || errorReply(reply)) return text;
  // No moment (-1, -2) is no moment at both.
  if (freedom === "moment") return text.startsWith(":-") || text[0] !== ":" ? text : "a moment";
  const elements = elementsOf(reply);
  // A type that is a string at one time is nil at another (RANDOMKEY).
  if (freedom === "any") return elements === undefined && text[0] !== ":" ? "a string" : text[0]!;
  return elements === undefined ? text : elements.map((element) => bound(element, freedom)).sort().join("");
}
