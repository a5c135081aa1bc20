import { ASTERISK, CR, DOLLAR, EMPTY, LF, MINUS, NINE, ZERO } from "./bytes.ts";
import { encodeCommand } from "./encoder.ts";
import { splitInline } from "./inline.ts";
import { ProtocolError } from "./protocol-error.ts";

/** What a request may be at most; all three are checked before memory is taken for what they announce. */
export interface RequestLimits {
  /** Bytes of one argument. */
  readonly maxBulkBytes: number;
  /** Arguments of one command, its name included. */
  readonly maxArguments: number;
  /** Bytes of an inline command. */
  readonly maxInlineBytes: number;
  /** True while the client has not logged in: breaches are then worded as Redis words them for such a client. */
  readonly unauthenticated?: boolean;
}

/** One command as it lies in a buffer: a RESP array of bulk strings, and where its arguments are. */
export interface Request {
  /** The bytes the frame lies in. They are never written to again. */
  readonly frame: Buffer;
  /** The frame's first byte in `frame`. */
  readonly start: number;
  /** One past the frame's last byte in `frame`. */
  readonly end: number;
  /** Arguments, the command's name included; at least 1. */
  readonly argc: number;
  /** Argument i is `frame[start + offsets[2i] .. start + offsets[2i+1])`. Entries from `2 * argc` on are left-overs. */
  readonly offsets: Int32Array;
}

/** No length header has more digits: so many always fit the 64-bit number that Redis reads them into. */
const MAX_HEADER_DIGITS = 18;
/** `$0\r\n\r\n`, and a header before it. */
const SHORTEST_BULK = 6;
const SHORTEST_FRAME = 10;
const SPARE_BYTES = 65_536;
/** A frame that is known to end within so many bytes gets them at once, however few have come. */
const AT_ONCE_BYTES = 65_536;
/** A larger one gets so many for each byte that has come. */
const MOST_AHEAD = 8;
const FIRST_OFFSETS = 32;

/**
 * Finds the commands in the bytes a client sends, whole or in any pieces. No sockets, no clock: `push` bytes, then call
 * `next` until it says false. Where a frame lies inside one pushed chunk it is handed on without a copy, and of a chunk that
 * begins with the end of a large argument only that is copied.
 *
 * It takes a subset of what Redis takes (RESP specification, "Sending commands to a Redis server"), so the two never
 * disagree about where a frame ends. Redis looks at no more than one byte of what should be CR LF behind a header or a bulk
 * string; here both are wanted. A header that cannot become right is refused at once, where Redis waits for its CR. A zero byte
 * in a line is refused, where Redis (7.0) waits for ever.
 */
export class RequestParser implements Request {
  frame: Buffer = EMPTY;
  start = 0;
  end = 0;
  argc = 0;
  offsets = new Int32Array(2 * FIRST_OFFSETS);

  #limits: RequestLimits;
  #buffer: Buffer = EMPTY;
  /** Where the frame being parsed starts in #buffer, where parsing goes on, and where the valid bytes end. */
  #frameStart = 0;
  #cursor = 0;
  #limit = 0;
  /** Whether #buffer was made here, with room behind #limit, rather than pushed. */
  #growable = false;
  /** What lies behind the frame that #buffer ends with: in the chunk that its last bytes came in, and those after it. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** Arguments announced by the header of the frame being parsed; 0 while its header is not read. */
  #expected = 0;
  #found = 0;
  /** Length of the bulk string whose header is read and whose bytes are awaited, else -1. */
  #bulk = -1;

  constructor(limits: RequestLimits) {
    this.#limits = limits;
  }

  /** Changes the limits, from the next header on (a login widens them). */
  set limits(limits: RequestLimits) {
    this.#limits = limits;
  }

  /** Bytes received that belong to no frame handed on yet. */
  get buffered(): number {
    return this.#limit - this.#frameStart + this.#restBytes;
  }

  /** Takes the next bytes. `chunk` is kept, not copied, where it can be: its owner must not write to it again. */
  push(chunk: Buffer): void {
    if (this.#restBytes > 0) {
      this.#postpone(chunk);
      return;
    }
    const left = this.#limit - this.#frameStart;
    if (left === 0) {
      this.#begin(chunk);
      return;
    }
    const missing = this.#frameEnd - this.#limit;
    const taken = missing > 0 ? Math.min(missing, chunk.length) : chunk.length;
    const room = this.#growable ? this.#buffer.length - this.#limit : 0;
    if (room < taken) this.#relocate(left, taken);
    chunk.copy(this.#buffer, this.#limit, 0, taken);
    this.#limit += taken;
    if (taken < chunk.length) this.#postpone(chunk.subarray(taken));
  }

  /**
   * Finds the next command; this object then describes it, until the next call.
   *
   * @returns false when more bytes are needed
   * @throws ProtocolError where the bytes can be no command; the parser is then of no further use
   */
  next(): boolean {
    if (this.#cursor === this.#limit && this.#restBytes > 0) {
      this.#begin(this.#rest.length === 1 ? this.#rest[0]! : Buffer.concat(this.#rest));
      this.#rest = [];
      this.#restBytes = 0;
    }
    if (this.#expected === 0 && this.#whole()) return true;
    for (;;) {
      if (this.#expected === 0) {
        if (this.#cursor >= this.#limit) return false;
        if (this.#buffer[this.#cursor] !== ASTERISK) {
          const found = this.#inline();
          if (found === undefined) continue;
          return found;
        }
        const count = this.#header(this.#limits.maxArguments, "multibulk");
        if (count === INCOMPLETE) return false;
        if (count <= 0) {
          this.#frameStart = this.#cursor;
          continue;
        }
        this.#expected = count;
        this.#found = 0;
        this.#bulk = -1;
      }
      return this.#arguments();
    }
  }

  #postpone(bytes: Buffer): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
  }

  /** All before these bytes is handed on. */
  #begin(chunk: Buffer): void {
    this.#buffer = chunk;
    this.#frameStart = this.#cursor = 0;
    this.#limit = chunk.length;
    this.#growable = false;
  }

  /** Where the frame ends that is being parsed; Infinity while the header of its last argument is not read. */
  get #frameEnd(): number {
    return this.#bulk >= 0 && this.#found === this.#expected - 1 ? this.#cursor + this.#bulk + 2 : Infinity;
  }

  /**
   * Finds a command of at most 99 arguments that lies whole in the buffer, well formed and within the limits, in one pass: what
   * most are. False leaves all as it was, for the way that takes pieces and knows what to say of faults.
   */
  #whole(): boolean {
    const buffer = this.#buffer;
    const { offsets } = this;
    const { maxArguments, maxBulkBytes } = this.#limits;
    const limit = this.#limit;
    const start = this.#cursor;
    if (limit - start < SHORTEST_FRAME || buffer[start] !== ASTERISK) return false;
    let count = buffer[start + 1]! - ZERO;
    let pos = start + 2;
    if (count < 1 || count > 9) return false;
    const second = buffer[pos]! - ZERO;
    if (second >= 0 && second <= 9) {
      count = count * 10 + second;
      pos++;
    }
    if (buffer[pos] !== CR || buffer[pos + 1] !== LF || count > maxArguments || 2 * count > offsets.length) return false;
    pos += 2;
    for (let i = 0; i < 2 * count; i += 2) {
      if (limit - pos < SHORTEST_BULK || buffer[pos] !== DOLLAR) return false;
      let length = buffer[pos + 1]! - ZERO;
      pos += 2;
      if (length < 0 || length > 9) return false;
      for (let digit = buffer[pos]! - ZERO; length > 0 && digit >= 0 && digit <= 9; digit = buffer[pos]! - ZERO) {
        length = length * 10 + digit;
        if (length > maxBulkBytes || ++pos >= limit) return false;
      }
      if (length > maxBulkBytes || buffer[pos] !== CR || buffer[pos + 1] !== LF) return false;
      pos += 2;
      const end = pos + length;
      if (end + 2 > limit || buffer[end] !== CR || buffer[end + 1] !== LF) return false;
      offsets[i] = pos - start;
      offsets[i + 1] = end - start;
      pos = end + 2;
    }
    this.frame = buffer;
    this.start = start;
    this.end = pos;
    this.argc = count;
    this.#frameStart = this.#cursor = pos;
    return true;
  }

  #arguments(): boolean {
    const buffer = this.#buffer;
    const limit = this.#limit;
    const frameStart = this.#frameStart;
    while (this.#found < this.#expected) {
      if (this.#bulk < 0) {
        if (this.#cursor >= limit) return false;
        const byte = buffer[this.#cursor]!;
        if (byte !== DOLLAR) throw new ProtocolError(`expected '$', got '${printable(byte)}'`);
        const length = this.#header(this.#limits.maxBulkBytes, "bulk");
        if (length === INCOMPLETE) return false;
        this.#bulk = length;
      }
      const end = this.#cursor + this.#bulk;
      if (end + 2 > limit) return false;
      if (buffer[end] !== CR || buffer[end + 1] !== LF) throw new ProtocolError("expected CRLF after a bulk string");
      const index = 2 * this.#found++;
      if (index >= this.offsets.length) this.#moreOffsets();
      this.offsets[index] = this.#cursor - frameStart;
      this.offsets[index + 1] = end - frameStart;
      this.#cursor = end + 2;
      this.#bulk = -1;
    }
    this.frame = buffer;
    this.start = frameStart;
    this.end = this.#cursor;
    this.argc = this.#found;
    this.#frameStart = this.#cursor;
    this.#expected = 0;
    return true;
  }

  /** Reads `*<n>\r\n` or `$<n>\r\n` at the cursor and steps over it, or returns INCOMPLETE and stays. */
  #header(max: number, what: "multibulk" | "bulk"): number {
    const buffer = this.#buffer;
    const limit = this.#limit;
    let pos = this.#cursor + 1;
    const negative = pos < limit && buffer[pos] === MINUS;
    if (negative) pos++;
    const first = pos;
    let value = 0;
    for (; pos < limit; pos++) {
      const byte = buffer[pos]!;
      if (byte === CR) break;
      if (byte < ZERO || byte > NINE || pos - first >= MAX_HEADER_DIGITS) throw new ProtocolError(`invalid ${what} length`);
      value = value * 10 + (byte - ZERO);
    }
    if (pos + 1 >= limit) return INCOMPLETE;
    const canonical = pos > first && (buffer[first] !== ZERO || (pos - first === 1 && !negative));
    if (!canonical || buffer[pos + 1] !== LF) throw new ProtocolError(`invalid ${what} length`);
    if (negative && what === "bulk") throw new ProtocolError("invalid bulk length");
    if (!negative && value > max) {
      throw new ProtocolError(`${this.#limits.unauthenticated === true ? "unauthenticated" : "invalid"} ${what} length`);
    }
    this.#cursor = pos + 2;
    return negative ? -1 : value;
  }

  /** Reads an inline command: true found, false more bytes needed, undefined a blank line was stepped over. */
  #inline(): boolean | undefined {
    const start = this.#cursor;
    const newline = this.#buffer.subarray(0, this.#limit).indexOf(LF, start);
    const length = (newline < 0 ? this.#limit : newline) - start;
    if (length > this.#limits.maxInlineBytes) throw new ProtocolError("too big inline request");
    if (newline < 0) return false;
    const lineEnd = newline > start && this.#buffer[newline - 1] === CR ? newline - 1 : newline;
    const line = this.#buffer.subarray(start, lineEnd);
    if (line.includes(0)) throw new ProtocolError("zero byte in inline request");
    const parts = splitInline(line);
    if (parts === undefined) throw new ProtocolError("unbalanced quotes in request");
    this.#frameStart = this.#cursor = newline + 1;
    if (parts.length === 0) return undefined;
    this.frame = encodeCommand(parts);
    this.start = 0;
    this.end = this.frame.length;
    this.argc = parts.length;
    while (2 * parts.length > this.offsets.length) this.#moreOffsets();
    let pos = headerBytes(parts.length);
    parts.forEach((part, i) => {
      pos += headerBytes(part.length);
      this.offsets[2 * i] = pos;
      this.offsets[2 * i + 1] = pos += part.length;
      pos += 2;
    });
    return true;
  }

  #moreOffsets(): void {
    const more = new Int32Array(2 * this.offsets.length);
    more.set(this.offsets);
    this.offsets = more;
  }

  /**
   * Moves the frame that is not complete to a larger buffer: twice what was received while its end is not known, and else a few
   * times that at most, whatever was announced. Of large memory the system gives only what is written to.
   */
  #relocate(left: number, incoming: number): void {
    const received = left + incoming;
    const whole = this.#frameEnd - this.#frameStart;
    // Never less than twice, or a command of many arguments would be copied once for each chunk.
    const size = whole === Infinity ? 2 * received + SPARE_BYTES : Math.min(whole, Math.max(MOST_AHEAD * received, AT_ONCE_BYTES));
    const larger = Buffer.allocUnsafeSlow(Math.max(received, size));
    this.#buffer.copy(larger, 0, this.#frameStart, this.#limit);
    this.#buffer = larger;
    this.#growable = true;
    this.#cursor -= this.#frameStart;
    this.#frameStart = 0;
    this.#limit = left;
  }
}

const INCOMPLETE = -2;

function headerBytes(length: number): number {
  return String(length).length + 3;
}

/** As Redis shows it, CR and LF as a blank; but no byte that is not ASCII. */
function printable(byte: number): string {
  if (byte === CR || byte === LF) return " ";
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "?";
}
