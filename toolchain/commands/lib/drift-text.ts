import { isTold } from "./drift-report.ts";
import type { Difference } from "./drift-report.ts";

/** A difference in one line for an operator. */
export function driftLine({ subject, thing, declared, actual, since, up, clients }: Difference): string {
  return visible(`${subject}: ${thing}: declared ${declared}; actual ${actual}${since === undefined ? "" : ` (since ${since})`}. \`up\` ${up}. Clients: ${clients}.`);
}

/**
 * All of it as Markdown, for the summary of a CI job.
 * @param problem why the check did not come to its end; empty where it did
 */
export function driftMarkdown(stack: string, differences: readonly Difference[], problem: string): string {
  const rows = differences.map(({ subject, thing, declared, actual, since, up, clients }) => [subject, thing, declared, actual, since ?? "", up, clients]);
  const header = ["Where", "What", "Declared", "Actual", "Since", "`pulumi up`", "Clients"];
  const table = rows.length === 0 ? [] : ["", ...[header, header.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`)];
  const end = problem === "" ? [] : ["", cell(problemText(problem, differences))];
  return [`### Stack ${stack}: ${countOf(differences.length)}`, ...table, ...end].join("\n");
}

/** What the end of a preview means that did not come to its end. */
export function problemText(problem: string, differences: readonly Difference[]): string {
  if (isTold(problem, differences)) return `An update would be refused until that is mended, and what the code says otherwise than at the last one was not looked at: ${problem}`;
  return `The check did not come to its end, and neither would an update: ${problem}`;
}

/** How many differences there are, in words. */
export function countOf(count: number): string {
  return `${count === 0 ? "no" : count} difference${count === 1 ? "" : "s"} from what is declared`;
}

function cell(text: string): string {
  return visible(text.replaceAll("\n", " ")).replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

/** What a node says may be anybody's words: a user's name that moves the cursor could wipe out the lines before it. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
