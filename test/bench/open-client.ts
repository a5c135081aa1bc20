import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { encodeCommand } from "../../proxy/resp/encoder.ts";
import { loadUser } from "./peer.ts";
import type { PemFiles } from "./peer.ts";

/** A connection of the load's user, once its login is answered. */
export type OpenClient = (port: number, options?: { readonly resume?: Buffer | undefined; readonly onSession?: (session: Buffer) => void }) => Promise<TLSSocket>;

/**
 * Reads the files once, and opens connections by them.
 *
 * @param name whom the server is to be
 * @returns takes the port on loopback; `resume` is a TLS session to take up again, `onSession` gets those that may be
 */
export function clientsWith(files: PemFiles, password: string, name: Pick<ConnectionOptions, "servername" | "checkServerIdentity">): OpenClient {
  const tls = { host: "127.0.0.1", ca: readFileSync(files.ca), cert: readFileSync(files.cert), key: readFileSync(files.key), ...name };
  return async (port, { resume, onSession } = {}) => {
    const socket = connect({ ...tls, port, ...(resume !== undefined && { session: resume }) });
    if (onSession !== undefined) socket.on("session", onSession);
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("data", () => {
        resolve();
      });
      socket.write(encodeCommand(["AUTH", loadUser, password]));
    });
    return socket;
  };
}
