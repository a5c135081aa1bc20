/** Line ends and terminal controls that JSON leaves as they are: DEL, C1 (NEL and CSI among them), U+2028, U+2029. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;

/** A JSON string literal for lines that people and programs read: none of its characters ends a line or drives a terminal. */
export function jsonText(text: string): string {
  return escapeControls(JSON.stringify(text));
}

/** Escapes in finished JSON what `jsonText` escapes; outside of strings JSON has no such characters. */
export function escapeControls(json: string): string {
  return json.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
