import type { NodeAddress } from "./cluster-plan.ts";

/** A Redis address as clients take it: TLS, the user's name, never a password. */
export function clientUri(user: string | undefined, { host, port }: NodeAddress): string {
  return `rediss://${user === undefined ? "" : `${encodeURIComponent(user)}@`}${host.includes(":") ? `[${host}]` : host}:${port}`;
}
