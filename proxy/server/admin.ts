import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ListeningSockets } from "./listening-sockets.ts";
import { METRICS_TYPE } from "./metrics.ts";

/** Good or not, and why; the detail is shown as JSON. */
export interface Verdict {
  readonly ok: boolean;
  readonly detail: unknown;
}

/** What the admin endpoint shows. Each is asked anew for every request. */
export interface AdminView {
  /** Whether the process is worth keeping. */
  health(): Verdict | Promise<Verdict>;
  /** Whether clients should be sent here. */
  ready(): Verdict | Promise<Verdict>;
  /** What runs: SHA-256 of the program, and over all files that it has read. */
  version(): { readonly program: string; readonly configuration: string };
  /** All sessions, to be shown as JSON: never a key, a value or a secret. */
  sessions(): unknown;
  /** One session; undefined, or a promise of it, where there is none of that number. */
  session(id: number): unknown;
  /** Prometheus's text format. */
  metrics(): string | Promise<string>;
}

/** The admin endpoint cannot listen at the address: `ADMIN_LISTEN`. */
export class AdminListenError extends Error {
  readonly code = "ADMIN_LISTEN";

  constructor(cause: Error) {
    super(`the admin endpoint ${cause.message}`, { cause });
    this.name = "AdminListenError";
  }
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly allow?: string;
}

const REQUEST_TIMEOUT_MS = 5_000;
const MOST_CONNECTIONS = 64;
const PATHS = ["/healthz", "/readyz", "/version", "/metrics", "/debug/sessions", "/debug/sessions/NUMBER"];
const SESSION_PATH = /^\/debug\/sessions\/(\d{1,15})$/;

/**
 * Starts the admin endpoint: `/healthz` and `/readyz` (200 or 503, JSON), `/version` (JSON), `/metrics` (Prometheus),
 * `/debug/sessions` and `/debug/sessions/NUMBER` (JSON). It has no login, so it belongs on a loopback address, and answers only requests whose Host header names one: a web page whose name was rebound to
 * 127.0.0.1 would bring its own name.
 *
 * @param listen port 0 takes a free one
 * @throws AdminListenError
 */
export async function startAdmin(
  listen: { readonly host: string; readonly port: number },
  view: AdminView,
  sockets = new ListeningSockets(),
): Promise<{ readonly address: { readonly host: string; readonly port: number }; close(): Promise<void> }> {
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 8_192,
    },
    (request, response) => {
      void answerTo(request, view).then((answer) => {
        send(request, response, answer);
      });
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  // A peer that reads nothing of its answer is cut off as well.
  server.setTimeout(2 * REQUEST_TIMEOUT_MS);
  await sockets.listen(server, listen).catch((error: unknown) => {
    throw new AdminListenError(error as Error);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => { resolve(); }));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Never rejects. */
async function answerTo({ method, url, headers }: IncomingMessage, view: AdminView): Promise<Answer> {
  if (!isLoopbackHost(headers.host)) return text(421, "the Host header must name a loopback address or localhost");
  if (method !== "GET" && method !== "HEAD") return { ...text(405, "only GET and HEAD are known here"), allow: "GET, HEAD" };
  try {
    const path = url!.split("?", 1)[0]!;
    const session = SESSION_PATH.exec(path)?.[1];
    if (session !== undefined) {
      const found = await view.session(Number(session));
      return found === undefined ? text(404, `there is no session ${session}; /debug/sessions lists those there are`) : json(found);
    }
    switch (path) {
      case "/healthz":
        return verdict(await view.health());
      case "/readyz":
        return verdict(await view.ready());
      case "/version":
        return json(view.version());
      case "/debug/sessions":
        return json(await view.sessions());
      case "/metrics":
        return { status: 200, type: METRICS_TYPE, body: await view.metrics() };
      default:
        return text(404, `there is no such page; there are ${PATHS.join(", ")}`);
    }
  } catch {
    return text(500, "the answer could not be made");
  }
}

function json(value: unknown): Answer {
  return { status: 200, type: "application/json", body: `${JSON.stringify(value)}\n` };
}

function verdict({ ok, detail }: Verdict): Answer {
  return { status: ok ? 200 : 503, type: "application/json", body: `${JSON.stringify({ ok, detail })}\n` };
}

function text(status: number, message: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${message}\n` };
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, allow }: Answer): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...(allow !== undefined && { Allow: allow }),
    // A body that nobody asked for is not waited for.
    ...(request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined ? { Connection: "close" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** Whether a Host header (RFC 9110, section 7.2) names this machine's loopback, with or without a port. */
function isLoopbackHost(header: string | undefined): boolean {
  return header !== undefined && /^(?:localhost\.?|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/i.test(header);
}
