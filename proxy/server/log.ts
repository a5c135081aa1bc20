import { escapeControls } from "../access/json-text.ts";
import { plainFields, plainText } from "./log-fields.ts";

/** How much a line matters, least first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Writes one JSON line for a call: `time`, `level`, `message`, then the fields. Never throws. */
export type LogFunction = (message: string, fields?: Record<string, unknown>) => void;

/** A function for each level. */
export type Logger = Readonly<Record<LogLevel, LogFunction>>;

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/** Bytes that a slow reader of standard output may leave there before lines are dropped and counted. */
const MOST_WAITING_BYTES = 1_048_576;
const OWN_FIELDS: ReadonlySet<string> = new Set(["time", "level", "message"]);

/**
 * Makes a logger. Fields whose names say that they are secret (`password`, `clientKey`, `auth_token`…) are redacted, bytes are
 * written as their number, texts and lists are bounded, errors are written by message, code and cause; their stack only at the
 * levels `debug` and `error`. A field that is named like one of the line's own gets `field_` before its name.
 *
 * @param write takes a line, with its line feed; what it throws is ignored. @default standard output
 * @param level the least level that is written. @default "info"
 */
export function createLogger(write: (line: string) => void = writerTo(() => process.stdout), level: LogLevel = "info"): Logger {
  const at = (name: LogLevel): LogFunction =>
    LEVELS.indexOf(name) < LEVELS.indexOf(level)
      ? () => undefined
      : (message, fields) => {
          try {
            write(lineOf(name, message, fields));
          } catch {
            // Logging must never end the work that it tells of.
          }
        };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A logger whose every line has these fields, unless the line itself has them. */
export function withFields(log: Logger, fields: Record<string, unknown>): Logger {
  const at = (level: LogLevel): LogFunction => (message, own) => {
    log[level](message, { ...fields, ...own });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function lineOf(level: LogLevel, message: string, fields: Record<string, unknown> = {}): string {
  const line: Record<string, unknown> = { time: new Date().toISOString(), level, message: plainText(message) };
  for (const [name, value] of Object.entries(plainFields(fields, level === "debug" || level === "error"))) {
    line[OWN_FIELDS.has(name) ? `field_${name}` : name] = value;
  }
  return `${escapeControls(JSON.stringify(line))}\n`;
}

/** What the logger needs of a stream. */
export interface LogStream {
  readonly writableLength: number;
  write(line: string): boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/**
 * Writes lines to a stream whose reader may be gone (EPIPE), slow or stuck: errors are ignored, and above 1 MiB of waiting
 * lines further ones are dropped; a line says how many once there is room.
 *
 * @param stream asked for at the first line, since the mere look at `process.stdout` opens it
 */
export function writerTo(stream: () => LogStream): (line: string) => void {
  let opened: LogStream | undefined;
  let dropped = 0;
  return (line) => {
    if (opened === undefined) {
      opened = stream();
      opened.on("error", () => undefined);
    }
    if (opened.writableLength > MOST_WAITING_BYTES) {
      dropped++;
      return;
    }
    if (dropped > 0) {
      const count = dropped;
      dropped = 0;
      opened.write(lineOf("warn", "log lines were dropped: standard output is not read fast enough", { count }));
    }
    opened.write(line);
  };
}
