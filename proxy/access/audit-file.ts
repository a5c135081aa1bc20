import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

/** The audit's file cannot be used: `AUDIT_FILE_UNUSABLE`. The message names it and says what is wrong. */
export class AuditFileError extends Error {
  readonly code = "AUDIT_FILE_UNUSABLE";

  constructor(file: string, problem: string, cause?: unknown) {
    super(`the audit file ${file} ${problem}`, { cause });
    this.name = "AuditFileError";
  }
}

/** What the system's error codes mean for the one who has to mend it. */
const MEANINGS: Readonly<Record<string, string>> = {
  ENOENT: "its directory does not exist",
  EACCES: "no permission",
  EISDIR: "it is a directory",
  EROFS: "its file system is read-only",
  ENXIO: "it is not a file",
};

/**
 * Opens the audit's file for appending. A new one is for its owner only (0600); the mode of one that is there stays, since who
 * rotates logs may have given it to a group of readers.
 *
 * @throws AuditFileError also where it is neither a regular file nor a device: a pipe's reader could hold the audit up
 */
export async function openAuditFile(file: string): Promise<FileHandle> {
  // O_NONBLOCK: opening a pipe that nobody reads must not wait.
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;
  let handle: FileHandle;
  try {
    handle = await open(file, flags, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new AuditFileError(file, `cannot be opened: ${MEANINGS[code ?? ""] ?? "the system refuses"} (${code ?? String(error)})`, error);
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile() && !stat.isCharacterDevice()) throw new AuditFileError(file, "cannot be used: it is neither a regular file nor a device");
    if (stat.isFile()) await endLastLine(handle, stat.size);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A process that died within a write left half a line: the next one must not be glued to it. */
async function endLastLine(handle: FileHandle, size: number): Promise<void> {
  if (size === 0) return;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  // Where the disk is full this fails; then the first write of an event fails too, which the policy deals with.
  if (buffer[0] !== 0x0a) await handle.write("\n").catch(() => undefined);
}
