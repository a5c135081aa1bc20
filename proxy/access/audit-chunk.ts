import { isUtf8 } from "node:buffer";
import { jsonText } from "./json-text.ts";

/** Bytes of one chunk: what one write to the file takes at most. A line never lies in two. */
export const CHUNK_BYTES = 131_072;

/** Bytes of a name or key that are written. */
const MOST_KEY_BYTES = 256;
/** Bytes that one byte of text takes at most: `\u0000`. */
const ESCAPED = 6;
/** What stands around a key: quotes, comma, braces, names, its length. */
const AROUND_KEY = 48;

/** Bytes that `text` of so many UTF-16 units takes at most. */
export function mostTextBytes(text: string): number {
  return text.length * ESCAPED + 2;
}

/** Bytes that a key of so many bytes takes at most. */
export function mostKeyBytes(length: number): number {
  return Math.min(length, MOST_KEY_BYTES) * ESCAPED + AROUND_KEY;
}

/** Finished lines on their way to the file. The caller sees to it that there is room before it writes. */
export class AuditChunk {
  readonly bytes: Buffer;
  /** Bytes in use. */
  used = 0;
  /** Bytes of them that are in the file. */
  written = 0;
  /** Events in it, without lines that only say that events were lost. */
  events = 0;

  readonly #view: DataView;

  constructor(bytes = CHUNK_BYTES) {
    this.bytes = Buffer.allocUnsafeSlow(bytes);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, bytes);
  }

  get room(): number {
    return this.bytes.length - this.used;
  }

  clear(): void {
    this.used = 0;
    this.written = 0;
    this.events = 0;
  }

  /** Goes back to the start of a line that is partly in the file: another file is to have it whole. */
  rewindToLineStart(): void {
    if (this.written < this.used) this.written = this.written === 0 ? 0 : this.bytes.lastIndexOf(0x0a, this.written - 1) + 1;
  }

  append(bytes: Buffer): void {
    this.bytes.set(bytes, this.used);
    this.used += bytes.length;
  }

  /**
   * What is in another one, of which that is little: some dozens of bytes are copied sooner than the engine is asked to, four at a
   * time. Both need room for three bytes more.
   */
  appendShort(source: AuditChunk): void {
    const { used } = this;
    const to = this.#view;
    const from = source.#view;
    for (let i = 0; i < source.used; i += 4) to.setInt32(used + i, from.getInt32(i));
    this.used = used + source.used;
  }

  /** ASCII that needs no escape. */
  appendAscii(text: string): void {
    const { bytes } = this;
    let { used } = this;
    for (let i = 0; i < text.length; i++) bytes[used++] = text.charCodeAt(i);
    this.used = used;
  }

  /** Text in quotes. */
  appendText(text: string): void {
    const { bytes } = this;
    let used = this.used;
    bytes[used++] = QUOTE;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (!isPlain(unit)) {
        this.used += bytes.write(jsonText(text), this.used, "utf8");
        return;
      }
      bytes[used++] = unit;
    }
    bytes[used++] = QUOTE;
    this.used = used;
  }

  /** A number, rounded; 0 for what is none or below. */
  appendWholeNumber(value: number): void {
    const { bytes } = this;
    let rest = Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
    let digits = 1;
    for (let bound = 10; rest >= bound; bound *= 10) digits++;
    for (let at = this.used + digits - 1; at >= this.used; at--) {
      const next = Math.floor(rest / 10);
      bytes[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.used += digits;
  }

  /**
   * The key `source[start, end)`, any bytes: `"text"` where it is UTF-8, else `{"hex":"…"}`; a long one
   * `{"prefix":"…","bytes":1000}` or `{"hex":"…","bytes":1000}`.
   */
  appendKey(source: Buffer, start: number, end: number): void {
    if (end - start > MOST_KEY_BYTES) {
      this.#appendLongKey(source.subarray(start, end));
      return;
    }
    const { bytes } = this;
    let used = this.used;
    bytes[used++] = QUOTE;
    for (let i = start; i < end; i++) {
      const byte = source[i]!;
      if (!isPlain(byte)) {
        const key = source.subarray(start, end);
        this.#write(isUtf8(key) ? jsonText(key.toString("utf8")) : `{"hex":"${key.toString("hex")}"}`);
        return;
      }
      bytes[used++] = byte;
    }
    bytes[used++] = QUOTE;
    this.used = used;
  }

  #appendLongKey(key: Buffer): void {
    const prefix = wholeCharacters(key.subarray(0, MOST_KEY_BYTES), key[MOST_KEY_BYTES]!);
    const shown = isUtf8(prefix) ? `"prefix":${jsonText(prefix.toString("utf8"))}` : `"hex":"${key.toString("hex", 0, MOST_KEY_BYTES)}"`;
    this.#write(`{${shown},"bytes":${key.length}}`);
  }

  #write(text: string): void {
    this.used += this.bytes.write(text, this.used, "utf8");
  }
}

const ZERO = 0x30;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A character that stands for itself in JSON, and on a terminal. */
function isPlain(unit: number): boolean {
  return unit >= 0x20 && unit < 0x7f && unit !== QUOTE && unit !== BACKSLASH;
}

/** Leaves out a UTF-8 character at the end that `next` would continue; it has four bytes at most. */
function wholeCharacters(bytes: Buffer, next: number): Buffer {
  if (!isContinuation(next)) return bytes;
  let end = bytes.length - 1;
  while (end > bytes.length - 4 && isContinuation(bytes[end]!)) end--;
  return bytes.subarray(0, end);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
