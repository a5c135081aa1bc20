/**
 * Bytes that break the protocol; the connection they came on cannot go on, because nobody knows where the next frame starts.
 * The message is Redis's own text after `Protocol error: ` (redis `networking.c`, `setProtocolError`), where it has one.
 */
export class ProtocolError extends Error {
  readonly code = "PROTOCOL_ERROR";

  constructor(message: string) {
    super(message);
    this.name = "ProtocolError";
  }
}
