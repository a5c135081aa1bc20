import { CR, LF, MINUS, NINE, ZERO } from "./bytes.ts";
import { ProtocolError } from "./protocol-error.ts";

/** How the rest of a value is found, by its first byte. */
const KIND_LINE = 1;
const KIND_BULK = 2;
const KIND_ARRAY = 3;
const KIND_MAP = 4;
const KIND_ATTRIBUTE = 5;

const KINDS = new Uint8Array(256);
for (const type of "+-:_#,(") KINDS[type.charCodeAt(0)] = KIND_LINE;
for (const type of "$=!") KINDS[type.charCodeAt(0)] = KIND_BULK;
for (const type of "*~>") KINDS[type.charCodeAt(0)] = KIND_ARRAY;
KINDS["%".charCodeAt(0)] = KIND_MAP;
KINDS["|".charCodeAt(0)] = KIND_ATTRIBUTE;

const MAX_LENGTH = 2 ** 40;
/** Digits of the length of a bulk string that can lie whole in one chunk of a socket. */
const MOST_PLAIN_DIGITS = 8;

/**
 * Finds where each reply of a server ends, in RESP2 and RESP3, without reading what is in it: the bytes can be passed on as
 * they are, a large value before its last byte has come. No sockets, no clock. It remembers a few numbers between chunks and
 * nothing else, whatever the depth of a reply.
 */
export class ReplyScanner {
  /** Values that must still come before the reply is whole; 0 between replies. */
  #missing = 0;
  /** Bytes of a bulk string, its CR LF included, that must still come. */
  #skip = 0;
  /** Kind of the value whose header line is being read, else 0. */
  #kind = 0;
  #value = 0;
  #negative = false;
  #digits = 0;
  #sawCr = false;

  /** True between two replies: the next byte is the first of a new one. */
  get between(): boolean {
    return this.#missing === 0 && this.#kind === 0;
  }

  /**
   * Goes on with the current reply, or starts the next, at `pos`.
   *
   * @returns one past the reply's last byte, or -1 where `end` came first (all of the bytes belong to the reply)
   * @throws ProtocolError where the bytes can be no reply
   */
  scan(buffer: Buffer, pos: number, end: number): number {
    if (this.#missing === 0) {
      const whole = endOfWhole(buffer, pos, end);
      if (whole > 0) return whole;
      this.#missing = 1;
    }
    for (;;) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, end - pos);
        pos += step;
        this.#skip -= step;
        if (this.#skip > 0) return -1;
        if (--this.#missing === 0) return pos;
      }
      if (pos >= end) return -1;
      if (this.#kind === 0) {
        const kind = KINDS[buffer[pos++]!]!;
        if (kind === 0) throw new ProtocolError("a reply starts with a byte that names no type");
        this.#kind = kind;
        this.#value = this.#digits = 0;
        this.#negative = this.#sawCr = false;
      }
      pos = this.#kind === KIND_LINE ? this.#line(buffer, pos, end) : this.#header(buffer, pos, end);
      if (pos < 0) return -1;
      if (this.#finishLine()) return pos;
    }
  }

  #line(buffer: Buffer, pos: number, end: number): number {
    while (pos < end) if (buffer[pos++] === LF) return pos;
    return -1;
  }

  #header(buffer: Buffer, pos: number, end: number): number {
    for (; pos < end; pos++) {
      const byte = buffer[pos]!;
      if (byte >= ZERO && byte <= NINE && !this.#sawCr) {
        this.#value = this.#value * 10 + (byte - ZERO);
        this.#digits++;
        if (this.#value > MAX_LENGTH) throw new ProtocolError("a reply announces a length beyond all bounds");
      } else if (byte === CR && !this.#sawCr && this.#digits > 0) {
        this.#sawCr = true;
      } else if (byte === LF && this.#sawCr) {
        return pos + 1;
      } else if (byte === MINUS && this.#digits === 0 && !this.#negative) {
        this.#negative = true;
      } else {
        throw new ProtocolError("a reply's length is no number");
      }
    }
    return -1;
  }

  /** Books the value whose line is complete; true where that completes the reply. */
  #finishLine(): boolean {
    const kind = this.#kind;
    this.#kind = 0;
    const value = this.#negative ? -1 : this.#value;
    if (kind === KIND_BULK && value >= 0) {
      this.#skip = value + 2;
      return false;
    }
    if (kind === KIND_ARRAY && value > 0) this.#missing += value;
    else if (kind === KIND_MAP && value > 0) this.#missing += 2 * value;
    else if (kind === KIND_ATTRIBUTE) this.#missing += 2 * Math.max(value, 0) + 1;
    return --this.#missing === 0;
  }
}

/** One past the last byte of a plain reply that lies whole in `[pos, end)`, else 0: what most replies are, found without a state. */
function endOfWhole(buffer: Buffer, pos: number, end: number): number {
  const kind = KINDS[buffer[pos]!];
  let at = pos + 1;
  if (kind === KIND_LINE) {
    while (at < end) if (buffer[at++] === LF) return at;
    return 0;
  }
  if (kind !== KIND_BULK) return 0;
  let length = 0;
  const latest = at + MOST_PLAIN_DIGITS;
  for (; at < end && at < latest; at++) {
    const byte = buffer[at]!;
    if (byte < ZERO || byte > NINE) break;
    length = length * 10 + byte - ZERO;
  }
  if (at === pos + 1 || buffer[at] !== CR || buffer[at + 1] !== LF) return 0;
  at += length + 4;
  return at <= end ? at : 0;
}
