import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";

/** What can be seen of a regular file. */
export interface FileFacts {
  readonly sha256: string;
  /** Four octal digits. */
  readonly mode: string;
  /** `uid:gid` */
  readonly owner: string;
  /** When its content was last written, as far as tools do not set it back. */
  readonly writtenAt: Date;
  /** When content, mode, owner or name last changed. */
  readonly touchedAt: Date;
}

/** A path where a file is to stand is taken by something else. */
export class NotAFileError extends Error {
  readonly code = "NOT_A_FILE";

  constructor(path: string, what: string) {
    super(`${path} is ${what}; expected a regular file or nothing. Move it away, then run again`);
    this.name = "NotAFileError";
  }
}

/**
 * Writes a file so that a reader, or a crash at any moment, meets the old content or the new, never a part:
 * a temporary file in the same directory gets mode and owner while it is still empty, then content, then fsync, then its name.
 * Missing directories are made with mode 0700. A symbolic link in its place is replaced, not followed.
 */
export async function writeFileAtomically(path: string, content: Uint8Array | string, mode: string, owner: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = temporaryOf(path);
  // Of a writer that was killed.
  await rm(temporary, { force: true });
  try {
    const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const [uid = 0, gid = 0] = owner.split(":").map(Number);
      await file.chown(uid, gid);
      await file.writeFile(content);
      // After chown, which clears set-id bits, and whatever the umask says.
      await file.chmod(Number.parseInt(mode, 8));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** The temporary file that a content is written to first. A killed writer leaves it behind; whoever writes the file next removes it. */
export function temporaryOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.new`);
}

/** Changes mode and owner of a file without touching its content. */
export async function setFileAccess(path: string, mode: string, owner: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const [uid = 0, gid = 0] = owner.split(":").map(Number);
    await file.chown(uid, gid);
    await file.chmod(Number.parseInt(mode, 8));
  } finally {
    await file.close();
  }
}

/**
 * Looks at a file; undefined if there is none. A symbolic link counts as none: what it points to is not ours.
 * @throws {NotAFileError} a directory, socket or device stands there
 */
export async function inspectFile(path: string): Promise<FileFacts | undefined> {
  const facts = await lstat(path).catch(ignoreAbsent);
  if (facts === undefined || facts.isSymbolicLink()) return undefined;
  if (facts.isDirectory()) throw new NotAFileError(path, "a directory");
  if (!facts.isFile()) throw new NotAFileError(path, "neither file nor directory");
  const digest = await hashFile(path).catch(ignoreAbsent);
  if (digest === undefined) return undefined;
  return { sha256: digest, mode: octal(facts.mode), owner: `${facts.uid}:${facts.gid}`, writtenAt: facts.mtime, touchedAt: facts.ctime };
}

/** SHA-256 of a file's content in hex, read in pieces. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** `uid:gid` of whoever runs this. */
export function ownOwner(): string {
  return `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
}

/** The permission bits of a `stat` mode as four octal digits. */
export function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

/** For `.catch` of a file operation: turns "does not exist" into undefined. */
export function ignoreAbsent(error: unknown): undefined {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return undefined;
  throw error;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
