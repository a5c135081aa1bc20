/** What stands in place of a secret. */
const REDACTED = "[redacted]";
/** Characters of one text that are written. */
const MOST_CHARACTERS = 4_096;
/** Items of one list, and fields of one object, that are written. */
const MOST_ITEMS = 100;
/** How deep objects within objects are followed; also what ends a circle. */
const MOST_DEPTH = 4;

/**
 * A field is secret where a word of its name ends like this, in singular or plural: `password`, `requirepass`, `apiKey`,
 * `x-auth`. It is the name that decides, never the look of the value; a harmless field that is hidden has the wrong name.
 */
const SECRET_WORD = /(?:pass|password|passwd|pwd|passphrase|secret|token|key|auth|authorization|credential|cookie|pem)s?$/;

/** User name and password in a URI. */
const URI_CREDENTIALS = /(\b[a-z][a-z0-9+.-]{0,15}:\/\/)[^\s/@"']*@/gi;

/** Fields as they are written to the log: bounded, without secrets, and made of plain JSON values only. */
export function plainFields(fields: object, withStack: boolean): Record<string, unknown> {
  return plainObject(fields, withStack, 0);
}

/** A text as it is written to the log: bounded, and without credentials in URIs. */
export function plainText(text: string): string {
  const cut = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}… (${text.length} characters)` : text;
  return cut.replace(URI_CREDENTIALS, `$1${REDACTED}@`);
}

function isSecret(name: string): boolean {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase().split(/[^a-z0-9]+/);
  return words.some((word) => SECRET_WORD.test(word));
}

function plain(value: unknown, withStack: boolean, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return plainText(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
    case "undefined":
      return value;
    case "object":
      return value === null ? null : plainOfObject(value, withStack, depth);
    case "bigint":
      return value.toString();
    default:
      return `(${typeof value})`;
  }
}

function plainOfObject(value: object, withStack: boolean, depth: number): unknown {
  if (value instanceof Error) return plainError(value, withStack, depth);
  // Bytes are what clients and keys are made of: their number says enough.
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `(${value.byteLength} bytes)`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "(no date)" : value.toISOString();
  if (depth >= MOST_DEPTH) return "(deeper than is written)";
  if (Array.isArray(value) || value instanceof Set) {
    const items = [...(value as Iterable<unknown>)];
    const written = items.slice(0, MOST_ITEMS).map((item) => plain(item, withStack, depth + 1));
    return items.length > MOST_ITEMS ? [...written, `(${items.length - MOST_ITEMS} more)`] : written;
  }
  if (value instanceof Map) return `(map of ${value.size})`;
  return plainObject(value, withStack, depth);
}

/** Without a prototype, so that a field named `__proto__` is a field like any other. */
function plainObject(value: object, withStack: boolean, depth: number): Record<string, unknown> {
  const result = Object.create(null) as Record<string, unknown>;
  const names = Object.keys(value);
  for (const name of names.slice(0, MOST_ITEMS)) {
    const written = name.length > 128 ? `${name.slice(0, 128)}…` : name;
    result[written] = isSecret(name) ? REDACTED : readable(() => plain((value as Record<string, unknown>)[name], withStack, depth + 1));
  }
  if (names.length > MOST_ITEMS) result["…"] = `${names.length - MOST_ITEMS} more`;
  return result;
}

/** Message and code, of its cause as well; an error's other properties may hold anything and are left out. */
function plainError(error: Error, withStack: boolean, depth: number): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const parts = error instanceof AggregateError && error.message === "" ? error.errors.slice(0, 8).map((part) => messageOf(part)) : [];
  const message = parts.length > 0 ? parts.join("; ") : error.message === "" ? error.name : error.message;
  return {
    message: plainText(message),
    ...((typeof code === "string" || typeof code === "number") && { code }),
    ...(error.cause !== undefined && { cause: depth >= MOST_DEPTH ? messageOf(error.cause) : plain(error.cause, withStack, depth + 1) }),
    ...(withStack && typeof error.stack === "string" && { stack: plainText(error.stack) }),
  };
}

function messageOf(value: unknown): string {
  return plainText(value instanceof Error ? value.message : typeof value === "string" ? value : `(${typeof value})`);
}

/** A getter may throw; the log must not. */
function readable(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return "(cannot be read)";
  }
}
