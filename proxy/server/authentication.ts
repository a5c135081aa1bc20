import { encodeError } from "../resp/encoder.ts";

/** What the session knows when AUTH comes. */
export interface AuthenticationContext {
  /** The Redis user that the session belongs to: named by the client's certificate, or by an earlier AUTH. */
  readonly sessionUser: string | undefined;
  /** Whether a role of the client allows to log in as this Redis user. */
  readonly mayBeUser: (redisUser: string) => boolean;
  readonly errorPrefix: string;
}

/** What becomes of an AUTH request. */
export type AuthenticationStep =
  /** Redis is asked; `auth` are the arguments for it. */
  | { readonly kind: "ask"; readonly user: string; readonly auth: readonly Buffer[] }
  /** Refused here; nothing reaches Redis. After `close` the connection ends. */
  | { readonly kind: "refuse"; readonly user: string; readonly reply: Buffer; readonly close: boolean };

const DEFAULT_USER = "default";

/** The error for a Redis user that no role of the client allows; the guide's text. */
export function accessDenied(errorPrefix: string): Buffer {
  return encodeError(`${errorPrefix}access to db denied. User does not have permissions. Confirm database user and name.`);
}

/**
 * Decides on `AUTH password` and `AUTH user password` (Redis commands reference, AUTH) before anything reaches Redis.
 *
 * @param args the arguments behind the command's name
 */
export function stepOfAuth(args: readonly Buffer[], context: AuthenticationContext): AuthenticationStep {
  const { sessionUser, errorPrefix } = context;
  const refuse = (user: string, text: string): AuthenticationStep => ({
    kind: "refuse",
    user,
    reply: encodeError(`${errorPrefix}${text}`),
    close: false,
  });
  if (args.length === 0) return refuse("", "wrong number of arguments for 'auth' command");
  if (args.length > 2) return refuse("", "syntax error");
  const user = args.length === 1 ? DEFAULT_USER : args[0]!.toString("utf8");
  if (sessionUser !== undefined && user !== sessionUser) {
    if (args.length === 1) {
      return refuse(user, "failed to authenticate as the default user. Please provide the db username when connecting to Redis");
    }
    return refuse(user, `failed to authenticate as ${user} user. Please provide a correct db username when connecting to Redis`);
  }
  if (!context.mayBeUser(user)) return { kind: "refuse", user, reply: accessDenied(errorPrefix), close: true };
  return { kind: "ask", user, auth: args.map((argument) => Buffer.from(argument)) };
}
