/**
 * Why a connection to a node ended or never was:
 * `UPSTREAM_CONNECT` it could not be made (refused, timed out, the node's certificate not trusted);
 * `UPSTREAM_LOST` it broke; `UPSTREAM_AUTHENTICATION` Redis refused the user; `UPSTREAM_PROTOCOL` the node's bytes are no RESP;
 * `UPSTREAM_CLOSED` the proxy closed it itself.
 */
export type UpstreamErrorCode =
  | "UPSTREAM_CONNECT"
  | "UPSTREAM_LOST"
  | "UPSTREAM_AUTHENTICATION"
  | "UPSTREAM_PROTOCOL"
  | "UPSTREAM_CLOSED";

/** The end of a connection to a node, with the node's address in its message. */
export class UpstreamError extends Error {
  readonly code: UpstreamErrorCode;
  /** The node's own words, where it gave any (an error line, without its CR LF). */
  readonly reply: string | undefined;

  constructor(code: UpstreamErrorCode, message: string, options: { cause?: unknown; reply?: string } = {}) {
    super(message, { cause: options.cause });
    this.name = "UpstreamError";
    this.code = code;
    this.reply = options.reply;
  }
}
