import { resolve } from "node:path";
import { parseHostPort } from "./address.ts";
import type { HostPort } from "./address.ts";
import type { Field } from "./field.ts";

const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

/** What `isName` takes, in words. */
export const NAME_FORM = "1 to 64 letters, digits, dots, hyphens and underscores";

/** Whether a text can be the name of a proxy or a database: it stands in logs, labels and the common name of a certificate. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** The path of a file, made absolute. */
export function readPath(field: Field, directory: string): string {
  return resolve(directory, field.text("the path of a file", (text) => text !== "" && !/[\0\r\n]/.test(text)));
}

/** An address to listen on or to connect to; undefined where it is none, which is reported. */
export function readAddress(
  field: Field,
  what = "an address and port, such as 127.0.0.1:7379",
  accept: (text: string) => boolean = (text) => parseHostPort(text) !== undefined,
): HostPort | undefined {
  return parseHostPort(field.text(what, accept));
}
