import { open, stat } from "node:fs/promises";
import { ignoreAbsent } from "./atomic-file.ts";

const tailLines = 8;
const tailBytes = 8192;

/** Length of a log file in bytes; 0 if there is none. */
export async function logLength(path: string): Promise<number> {
  return (await stat(path).catch(ignoreAbsent))?.size ?? 0;
}

/**
 * The last lines that a program has written to its log since `offset`, for an error message.
 * Long hexadecimal words are left out: a program that cannot read its configuration may quote a password from it.
 */
export async function tailLog(path: string, offset: number): Promise<string> {
  const file = await open(path, "r").catch(ignoreAbsent);
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const start = Math.max(offset, size - tailBytes);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(Math.max(0, size - start)), position: start });
    const text = buffer.toString("utf8", 0, bytesRead).replace(/[0-9a-fA-F]{32,}/g, "[hidden]");
    return text.trimEnd().split("\n").slice(-tailLines).join("\n");
  } finally {
    await file.close();
  }
}
