/** Requests that a client may have under way at first, while nothing is known about its replies. */
const FIRST_SIZE = 32;

/**
 * How many requests of one client are taken before replies have come. It grows while replies are small, and shrinks as soon as
 * they are large: requests under way cannot be called back, and all their replies must find room if the client stops reading.
 */
export class ReplyWindow {
  /** Requests that may be without a reply; at least 1. */
  size: number;

  readonly #maxRequests: number;
  readonly #maxBytes: number;
  /** Bytes that a reply is expected to have: at once those of a larger one, and slowly less when smaller ones come. */
  #expected = 0;
  /** Bytes since a reply came to its end. */
  #partial = 0;
  /** Replies since the window grew. */
  #replies = 0;

  /**
   * @param maxRequests the largest size, at least 1
   * @param maxBytes what the replies to all requests of a window are to have together, going by those before them
   */
  constructor(maxRequests: number, maxBytes: number) {
    this.#maxRequests = maxRequests;
    this.#maxBytes = maxBytes;
    this.size = Math.min(FIRST_SIZE, maxRequests);
  }

  /**
   * Books `bytes` of replies, in which `replies` came to their end.
   *
   * @returns bytes of a reply, as far as it has come; the mean where several ended
   */
  add(bytes: number, replies: number): number {
    this.#partial += bytes;
    const mean = this.#partial / Math.max(1, replies);
    if (mean > this.#expected) this.#expected = mean;
    if (replies > 0) {
      this.#partial = 0;
      this.#expected += (mean - this.#expected) * Math.min(1, replies / this.size);
      this.#replies += replies;
    }
    let size = this.size;
    if (this.#replies >= size) {
      size *= 2;
      this.#replies = 0;
    }
    this.size = Math.max(1, Math.min(size, this.#maxRequests, Math.floor(this.#maxBytes / this.#expected)));
    return mean;
  }

  /** Books a reply of `bytes` that the proxy has put together itself. Such requests cost more than others: small replies to them make the window no larger than at first. */
  expect(bytes: number): void {
    this.#expected = bytes > this.#expected ? bytes : this.#expected + (bytes - this.#expected) / this.size;
    const most = Math.max(this.size, Math.min(FIRST_SIZE, this.#maxRequests));
    this.size = Math.max(1, Math.min(most, Math.floor(this.#maxBytes / this.#expected)));
  }
}
