/** Bytes of sockets' chunks behind which the young generation is collected. */
const COLLECT_AFTER_BYTES = 16_777_216;

/** There where Node was started with `--expose-gc`. */
const { gc } = globalThis as { readonly gc?: (options: { readonly type: "minor" }) => void };
let received = 0;

/**
 * To be called for each chunk that a socket has brought. Chunks lie outside of V8's heap, and are freed when it is gone through: their
 * size hardly has it begin, until 64 MiB have come together, and then it goes through the whole heap. That costs far more than to
 * go through what is young, where they are, now and then.
 */
export function chunkReceived({ length }: Buffer): void {
  received += length;
  if (received < COLLECT_AFTER_BYTES) return;
  received = 0;
  if (gc !== undefined) setImmediate(gc, { type: "minor" });
}
