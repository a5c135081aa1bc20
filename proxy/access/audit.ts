import { AuditChunk, CHUNK_BYTES, mostKeyBytes, mostTextBytes } from "./audit-chunk.ts";
import { openAuditFile } from "./audit-file.ts";
import { AuditWriter } from "./audit-writer.ts";
import type { AuditSink } from "./audit-writer.ts";
import { jsonText } from "./json-text.ts";

/** Keys of one command that are written. */
const MOST_KEYS = 64;
/** Characters of a name that are written. */
const MOST_NAME = 256;
/** Bytes of a command's line without names and keys: time, field names, digits. */
const AROUND_COMMAND = 256;

const EMPTY = Buffer.alloc(0);
/** What stands between the keys and the duration of most lines, and behind it. */
const ALL_KEYS_OK = '],"outcome":"ok","micros":';
const LINE_END = "}\n";
/** Bytes of a line's end at most: so much, and the digits of a number. */
const OK_END_BYTES = 64;
/** Milliseconds that a line's time may be old: to ask for it costs as much as the rest of a line's beginning. */
const TIME_AGE_MS = 1;

/** How the audit behaves. */
export interface AuditOptions {
  /** When events cannot be written: stop accepting commands, or go on and count what is lost. @default "stop" */
  readonly onFailure?: "stop" | "count";
  /** Bytes of lines that may wait for the disk, at least 262144. @default 16777216 */
  readonly maxBufferedBytes?: number;
  /** Milliseconds that a line may wait for others. @default 50 */
  readonly flushMs?: number;
  /** Milliseconds between tries while writing fails. @default 1000 */
  readonly retryMs?: number;
  /** Called when writing begins to fail, and without a problem when it works again. */
  readonly onChange?: (problem: string | undefined) => void;
}

/** Whose session it is. */
export interface AuditedSession {
  readonly id: number;
  readonly user: string;
  readonly roles: readonly string[];
  readonly remote: string;
  readonly database: string;
}

/** The keys of one command, where they lie in its bytes. */
export interface KeyRanges {
  readonly bytes: Buffer;
  /** Where each starts, and one past its last byte; entries from `2 * count` on are left-overs. */
  readonly ranges: readonly number[];
  readonly count: number;
}

/** What has become of the events so far. */
export interface AuditCounters {
  /** Events that the operating system has taken. */
  readonly written: number;
  readonly lost: number;
  /** Writes that failed. */
  readonly failures: number;
}

/** Whether the audit is whole and up to date, and how it stands. */
export interface AuditHealth {
  readonly ok: boolean;
  readonly detail: AuditCounters & { readonly bufferedBytes: number; readonly accepting: boolean; readonly problem: string | undefined };
}

/** What the lines of one session have in common. */
interface SessionText {
  /** From `"session":` on, without a Redis user. */
  readonly fields: string;
  /** The same for commands, with the Redis user. */
  command: string;
  /** The command that was written last, and its line up to the keys, with the time at its beginning. */
  name: string | undefined;
  head: Buffer;
  time: Buffer;
}

/**
 * The audit: one JSON line per event, in order, to a file. Events are only copied into memory here, and written in batches.
 *
 * Memory is bounded. With `stop`, `accepting` turns false as soon as a write fails or more than `maxBufferedBytes` wait, and
 * true again when writing works and half of that is free; as much again is kept for events of commands that were on their way by
 * then. Where the disk is only slow, `behind` is true meanwhile, and clients had better wait than be refused. With `count`,
 * `accepting` stays true. What finds no room in either case is counted, and a line
 * `{"event":"lost","count":n}` stands where the lost events would, before everything that came after them.
 */
export class AuditLog {
  readonly #file: string;
  readonly #writer: AuditWriter;
  readonly #maxBufferedBytes: number;
  readonly #onFailure: "stop" | "count";
  readonly #onChange: (problem: string | undefined) => void;
  readonly #sessions = new Map<number, SessionText>();
  readonly #counters = { written: 0, lost: 0, failures: 0 };
  #problem: string | undefined;
  #behind = false;
  #accepting = true;
  #waiting: (() => void)[] = [];
  /** Events lost since the last line that says so; `since` is when that began. */
  #losing: { count: number; readonly since: number } | undefined;
  #closed: Promise<void> | undefined;
  /** A line's beginning up to the time; of which moment, by the clock on the wall and by the monotonic one. */
  #time = EMPTY;
  #timeMs = 0;
  #timeSetAt = -Infinity;
  /** Looked at before the map, as a client's commands are booked one after the other. */
  #lastId = 0;
  #lastSession: SessionText | undefined;
  /** The end of a line of a command that was answered after so many microseconds; behind `ALL_KEYS_OK`, which stays, for the last one. */
  readonly #okEnd = new AuditChunk(OK_END_BYTES);
  #okEndMicros = -1;

  private constructor(file: string, sink: AuditSink, options: AuditOptions) {
    this.#file = file;
    this.#okEnd.appendAscii(ALL_KEYS_OK);
    this.#maxBufferedBytes = options.maxBufferedBytes ?? 16_777_216;
    this.#onFailure = options.onFailure ?? "stop";
    this.#onChange = options.onChange ?? ((): void => undefined);
    this.#writer = new AuditWriter(sink, options.flushMs ?? 50, options.retryMs ?? 1_000, {
      onWritten: (events) => {
        this.#written(events);
      },
      onFailure: (error) => {
        this.#failed(error);
      },
    });
  }

  /**
   * Opens or creates the file (mode 0600); lines go to its end.
   *
   * @throws AuditFileError where that cannot be; RangeError for a `maxBufferedBytes` below 262144
   */
  static async open(file: string, options: AuditOptions = {}): Promise<AuditLog> {
    const { maxBufferedBytes } = options;
    if (maxBufferedBytes !== undefined && !(maxBufferedBytes >= 2 * CHUNK_BYTES)) {
      throw new RangeError(`maxBufferedBytes is ${maxBufferedBytes}; it must be at least ${2 * CHUNK_BYTES}`);
    }
    return new AuditLog(file, await openAuditFile(file), options);
  }

  /**
   * An audit whose lines another process writes to the file.
   *
   * @param file for messages only
   * @param sink takes whole lines, and tells what has become of them
   */
  static over(file: string, sink: AuditSink, options: AuditOptions = {}): AuditLog {
    return new AuditLog(file, sink, options);
  }

  /** False while commands are to be refused, since what they do could not be written. */
  get accepting(): boolean {
    return this.#accepting;
  }

  /** True while nothing is accepted for no other reason than that the disk does not keep up: it will, in a moment. */
  get behind(): boolean {
    return !this.#accepting && this.#problem === undefined && this.#closed === undefined;
  }

  /** Calls `callback` once, soon after `behind` has turned false; to be asked for while it is true. */
  onceNotBehind(callback: () => void): void {
    this.#waiting.push(callback);
  }

  get counters(): AuditCounters {
    return { ...this.#counters };
  }

  health(): AuditHealth {
    const problem = this.#problem ?? (this.#behind || this.#losing !== undefined ? "the disk does not keep up" : undefined);
    const detail = { ...this.#counters, bufferedBytes: this.#writer.backlogBytes, accepting: this.#accepting, problem };
    return { ok: problem === undefined, detail };
  }

  sessionStart(session: AuditedSession): void {
    const { id, user, roles, remote, database } = session;
    const fields = `"session":${id},"user":${nameText(user)},"remote":${nameText(remote)},"database":${nameText(database)}`;
    this.#sessions.set(id, { fields, command: fields, name: undefined, head: EMPTY, time: EMPTY });
    const written = roles.slice(0, MOST_KEYS / 2).map(nameText).join(",");
    this.#event("session_start", `${fields},"roles":[${written}]${moreText(roles.length - MOST_KEYS / 2)}`);
  }

  sessionEnd(id: number, reason: string, counts: { readonly commands: number; readonly denied: number }): void {
    this.#event("session_end", `${this.#fieldsOf(id)},"reason":${nameText(reason)},"commands":${counts.commands},"denied":${counts.denied}`);
    this.#sessions.delete(id);
    if (id === this.#lastId) this.#lastSession = undefined;
  }

  /** An attempt to log in to Redis; where it succeeded, the session's commands are that user's. */
  authentication(id: number, redisUser: string, ok: boolean): void {
    const fields = `${this.#fieldsOf(id)},"redisUser":${nameText(redisUser)}`;
    const session = this.#sessions.get(id);
    if (ok && session !== undefined) {
      session.command = fields;
      session.name = undefined;
    }
    this.#event("authentication", `${fields},"ok":${ok}`);
  }

  /**
   * A command whose reply is known. Nothing of `keys` is kept; long keys are cut, and of more than 64 the rest is counted.
   *
   * @param outcome `ok`, `denied`, `unanswered` where the client left before the reply, or the first word of the error
   * @param now in milliseconds of the monotonic clock
   */
  command(id: number, name: string, keys: KeyRanges, outcome: string, durationMicros: number, now = performance.now()): void {
    if (!this.#hasRoom()) return;
    const head = this.#commandHead(id, name, now);
    const shownOutcome = clipped(outcome);
    const { bytes, ranges } = keys;
    const count = Math.min(keys.count, MOST_KEYS);
    let most = AROUND_COMMAND + head.length + mostTextBytes(shownOutcome);
    for (let i = 0; i < 2 * count; i += 2) most += mostKeyBytes(ranges[i + 1]! - ranges[i]!);
    const chunk = this.#writer.chunkFor(most);
    chunk.append(head);
    for (let i = 0; i < 2 * count; i += 2) {
      if (i > 0) chunk.appendAscii(",");
      chunk.appendKey(bytes, ranges[i]!, ranges[i + 1]!);
    }
    if (outcome === "ok" && keys.count === count) {
      chunk.appendShort(this.#endOfOk(durationMicros));
    } else {
      chunk.appendAscii(`]${moreText(keys.count - count)},"outcome":`);
      chunk.appendText(shownOutcome);
      chunk.appendAscii(',"micros":');
      chunk.appendWholeNumber(durationMicros);
      chunk.appendAscii(LINE_END);
    }
    this.#added(chunk);
  }

  /**
   * Opens the file's name anew, after a rotation moved the file away. Events go on; none is lost or torn.
   *
   * @throws AuditFileError where that cannot be; then the file before it goes on being written
   */
  async reopen(): Promise<void> {
    const handle = await openAuditFile(this.#file);
    if (this.#closed === undefined) await this.#writer.replace(handle);
    else await handle.close();
  }

  /** Writes what waits and closes the file. What the disk does not take even now is counted as lost. */
  close(): Promise<void> {
    this.#closed ??= this.#writer.close().then((unwritten) => {
      this.#counters.lost += unwritten;
      this.#accepting = this.#onFailure === "count";
    });
    return this.#closed;
  }

  #event(event: string, fields: string): void {
    if (!this.#hasRoom()) return;
    this.#added(this.#line(event, fields));
  }

  #line(event: string, fields: string): AuditChunk {
    const rest = Buffer.from(`","event":"${event}",${fields}}\n`);
    const chunk = this.#writer.chunkFor(AROUND_COMMAND + rest.length);
    this.#lookAtClock(performance.now());
    chunk.append(this.#time);
    chunk.append(rest);
    return chunk;
  }

  #added(chunk: AuditChunk): void {
    chunk.events++;
    this.#writer.added();
    if (!this.#behind && this.#writer.backlogBytes > this.#maxBufferedBytes) {
      this.#behind = true;
      this.#decide();
    }
  }

  /** Whether an event may be added. Once one was lost, all are until there is ample room: one gap, not many. */
  #hasRoom(): boolean {
    const most = this.#onFailure === "stop" ? 2 * this.#maxBufferedBytes : this.#maxBufferedBytes;
    if (this.#closed === undefined && this.#losing === undefined && this.#writer.backlogBytes < most) return true;
    this.#counters.lost++;
    this.#losing ??= { count: 0, since: Date.now() };
    this.#losing.count++;
    return false;
  }

  #written(events: number): void {
    this.#counters.written += events;
    if (this.#writer.backlogBytes <= this.#maxBufferedBytes / 2) {
      this.#behind = false;
      this.#endGap();
    }
    const recovered = this.#problem !== undefined;
    this.#problem = undefined;
    this.#decide();
    if (recovered) this.#onChange(undefined);
  }

  #endGap(): void {
    if (this.#losing === undefined) return;
    const { count, since } = this.#losing;
    this.#losing = undefined;
    this.#line("lost", `"count":${count},"since":"${new Date(since).toISOString()}"`);
    this.#writer.added();
  }

  #failed(error: unknown): void {
    this.#counters.failures++;
    const first = this.#problem === undefined;
    this.#problem = `the audit file ${this.#file} cannot be written: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
    this.#decide();
    if (first) this.#onChange(this.#problem);
  }

  #decide(): void {
    this.#accepting = this.#onFailure === "count" || (this.#problem === undefined && !this.#behind && this.#losing === undefined);
    if (this.behind) return;
    // Not from within a write's end: who waited will have new events written.
    for (const callback of this.#waiting.splice(0)) setImmediate(callback);
  }

  #fieldsOf(id: number): string {
    return this.#sessions.get(id)?.fields ?? `"session":${id}`;
  }

  #sessionOf(id: number): SessionText | undefined {
    if (id !== this.#lastId || this.#lastSession === undefined) {
      this.#lastId = id;
      this.#lastSession = this.#sessions.get(id);
    }
    return this.#lastSession;
  }

  /** A command's line up to the keys: clients repeat themselves, so the last one is kept, and only its time is put right. */
  #commandHead(id: number, name: string, now: number): Buffer {
    this.#lookAtClock(now);
    const time = this.#time;
    const session = this.#sessionOf(id);
    if (session?.name === name && session.time.length === time.length) {
      if (session.time !== time) {
        session.time = time;
        session.head.set(time);
      }
      return session.head;
    }
    const head = Buffer.concat([time, Buffer.from(`","event":"command",${session?.command ?? `"session":${id}`},"command":${nameText(name)},"keys":[`)]);
    if (session !== undefined) {
      session.name = name;
      session.head = head;
      session.time = time;
    }
    return head;
  }

  #endOfOk(micros: number): AuditChunk {
    const end = this.#okEnd;
    if (micros !== this.#okEndMicros) {
      this.#okEndMicros = micros;
      end.used = ALL_KEYS_OK.length;
      end.appendWholeNumber(micros);
      end.appendAscii(LINE_END);
    }
    return end;
  }

  /** Has `#time` say what time it is. */
  #lookAtClock(now: number): void {
    if (now - this.#timeSetAt < TIME_AGE_MS) return;
    this.#timeSetAt = now;
    const ms = Date.now();
    if (ms === this.#timeMs) return;
    this.#timeMs = ms;
    this.#time = Buffer.from(`{"time":"${new Date(ms).toISOString()}`);
  }
}

function moreText(more: number): string {
  return more > 0 ? `,"more":${more}` : "";
}

function clipped(name: string): string {
  return name.length > MOST_NAME ? `${name.slice(0, MOST_NAME)}…` : name;
}

function nameText(name: string): string {
  return jsonText(clipped(name));
}
