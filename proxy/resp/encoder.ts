const CRLF = Buffer.from("\r\n");

/** A command as a RESP array of bulk strings (RESP specification, "Sending commands to a Redis server"). Strings are UTF-8. */
export function encodeCommand(parts: readonly (Buffer | string)[]): Buffer {
  const chunks: Buffer[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    chunks.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF);
  }
  return Buffer.concat(chunks);
}

/** A simple error. `text` starts with its code (`ERR …`); CR and LF in it become blanks, as they would end the line. */
export function encodeError(text: string): Buffer {
  return Buffer.from(`-${text.replace(/[\r\n]+/g, " ")}\r\n`);
}

/** A simple string such as `OK`; it must hold no CR or LF. */
export function encodeSimple(text: string): Buffer {
  return Buffer.from(`+${text}\r\n`);
}

/** An integer reply. */
export function encodeInteger(value: number | bigint): Buffer {
  return Buffer.from(`:${value}\r\n`);
}

/** An array of elements that are RESP already. */
export function encodeArray(elements: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements]);
}
