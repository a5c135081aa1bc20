import { CR, EMPTY, ZERO } from "./bytes.ts";
import type { Request } from "./request-parser.ts";

const FIRST_OFFSETS = 32;

/**
 * Reads frames once more that a RequestParser has found whole: for who needs a request's arguments after it was sent.
 * Nothing is checked and nothing copied; bytes that no RequestParser has passed must not be given to it.
 */
export class FrameReader implements Request {
  frame: Buffer = EMPTY;
  start = 0;
  end = 0;
  argc = 0;
  offsets = new Int32Array(2 * FIRST_OFFSETS);

  /** Reads the frame that begins at `start`; this object then describes it, until the next call. Its end is returned, too. */
  read(frame: Buffer, start: number): number {
    let pos = start + 1;
    let argc = 0;
    for (let byte = frame[pos++]!; byte !== CR; byte = frame[pos++]!) argc = argc * 10 + byte - ZERO;
    pos++;
    if (2 * argc > this.offsets.length) this.offsets = new Int32Array(4 * argc);
    const { offsets } = this;
    for (let i = 0; i < argc; i++) {
      let length = 0;
      pos++;
      for (let byte = frame[pos++]!; byte !== CR; byte = frame[pos++]!) length = length * 10 + byte - ZERO;
      pos++;
      offsets[2 * i] = pos - start;
      pos += length;
      offsets[2 * i + 1] = pos - start;
      pos += 2;
    }
    this.frame = frame;
    this.start = start;
    this.argc = argc;
    return (this.end = pos);
  }
}
