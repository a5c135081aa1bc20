import { BlockList, isIP, isIPv6 } from "node:net";

/** Where something listens or is reached. An IPv6 address stands without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
const HIGHEST_PORT = 65_535;
/** Redis's own port, where a URI names none. */
const DEFAULT_PORT = 6_379;

/** `host:port`, an IPv6 address in brackets. Undefined where the text is none; port 0 stands for any free port. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, inBrackets, plain, digits] = match;
  const port = Number(digits);
  if (port > HIGHEST_PORT) return undefined;
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? { host: inBrackets, port } : undefined;
  return isHost(plain!) ? { host: plain!, port } : undefined;
}

/** An address as `parseHostPort` takes it. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only programs on the same machine can reach an address. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host === "localhost";
  return LOOPBACK.check(host, family === 6 ? "ipv6" : "ipv4");
}

/** Whether two listeners cannot both be had: one port, on one address or on all of them. */
export function collide(one: HostPort, other: HostPort): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return canonical(one.host) === canonical(other.host) || isUnspecified(one.host) || isUnspecified(other.host);
}

/** What a database's URI says. */
export interface DatabaseUri extends HostPort {
  readonly tls: boolean;
  readonly mode: "cluster" | "standalone";
}

/**
 * `rediss://host:port?mode=cluster`; `redis://` without TLS, port 6379 where none is named, `mode=standalone` where no mode is.
 *
 * @returns what the text says, or what is wrong with it. The text itself is not repeated: it may hold a password.
 */
export function parseDatabaseUri(text: string): DatabaseUri | { readonly problem: string } {
  const url = URL.parse(text);
  if (url === null || !/^rediss?:$/.test(url.protocol)) return { problem: "is not a URI of the form rediss://host:port?mode=cluster" };
  if (url.username !== "" || url.password !== "") {
    return { problem: "has a user name or password; expected none, because clients log in themselves (AUTH)" };
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (!isHost(host) && !isIPv6(host)) return { problem: `names no host; expected rediss://host:port?mode=cluster` };
  const port = url.port === "" ? DEFAULT_PORT : Number(url.port);
  if (port === 0) return { problem: "has port 0; expected 1 to 65535" };
  if (url.pathname !== "" && url.pathname !== "/") return { problem: `has a path, ${url.pathname}; expected none: clients choose a database by SELECT` };
  if (url.hash !== "") return { problem: `has a fragment, ${url.hash}; expected none` };
  const unknown = [...url.searchParams.keys()].find((key) => key !== "mode");
  if (unknown !== undefined) return { problem: `has the parameter ${JSON.stringify(unknown)}; expected none but mode` };
  const modes = url.searchParams.getAll("mode");
  const mode = modes[0] ?? "standalone";
  if (modes.length > 1 || (mode !== "cluster" && mode !== "standalone")) {
    return { problem: `has mode=${modes.join(" and mode=")}; expected mode=cluster, or none for a standalone server` };
  }
  return { tls: url.protocol === "rediss:", host, port, mode };
}

function isHost(text: string): boolean {
  // Digits and dots that are no IPv4 address are a misspelt one, whatever DNS would make of them.
  return /^[\d.]+$/.test(text) ? isIP(text) === 4 : HOST_NAME.test(text);
}

function isUnspecified(host: string): boolean {
  return host === "0.0.0.0" || canonical(host) === "::";
}

function canonical(host: string): string {
  return isIPv6(host) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host.toLowerCase();
}
