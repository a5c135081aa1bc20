import type { Socket } from "node:net";

/**
 * Ends a connection behind what is still to be written. A client that does not read that, or does not close its side within
 * `limitMs` of the last byte, whatever it still sends, is cut off: it must not keep the connection for ever.
 */
export function closeGently(socket: Socket, limitMs: number): void {
  socket.end();
  socket.setTimeout(limitMs, () => socket.destroy());
  socket.once("finish", () => {
    const lastMoments = setTimeout(() => socket.destroy(), limitMs);
    socket.once("close", () => {
      clearTimeout(lastMoments);
    });
  });
  socket.resume();
}
