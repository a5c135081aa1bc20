/** `npm run drift`: tells what differs from what is declared. Exit code 0 if nothing does, 7 if something does. It changes nothing. */
import { readCommandLine } from "./lib/command-line.ts";
import { isTold, reportDrift } from "./lib/drift-report.ts";
import type { Difference } from "./lib/drift-report.ts";
import { countOf, driftLine, driftMarkdown, problemText } from "./lib/drift-text.ts";
import { pulumiPreview } from "./lib/pulumi.ts";
import { run } from "./lib/run.ts";
import { say, styled } from "./lib/style.ts";

/** Pulumi's own exit code for `--expect-no-changes` where there are some. */
const driftExitCode = 7;

const { stack, switches } = readCommandLine("npm run drift", "Compares what runs with what is declared, and tells each difference. It changes nothing.\nExit code 0 if there is none, 7 if there are some, another one if the check itself failed.", {
  json: "print them as JSON",
  markdown: "print them as Markdown, for a CI job's summary",
});

await run(async () => {
  const started = performance.now();
  const { events, problem } = await pulumiPreview(["--stack", stack, "--refresh", "--expect-no-changes"]);
  const differences = reportDrift(events);
  const milliseconds = Math.round(performance.now() - started);
  if (switches.has("json")) say(JSON.stringify({ stack, drift: differences.length > 0, problem, milliseconds, differences }, null, 2));
  else if (switches.has("markdown")) say(driftMarkdown(stack, differences, problem));
  else say([...differences.map(driftLine), ...(problem === "" || differences.length > 0 ? [verdict(differences)] : [])].join("\n"));
  if (problem !== "") process.stderr.write(`${problemText(problem, differences)}\n`);
  process.exitCode = problem !== "" && !isTold(problem, differences) ? 1 : differences.length > 0 ? driftExitCode : 0;
});

function verdict(differences: readonly Difference[]): string {
  if (differences.length === 0) return styled("green", `Stack ${stack}: no difference from what is declared.`);
  const isForPerson = differences.every(({ mend }) => mend === "leave" || mend === "refuse");
  return styled("yellow", `Stack ${stack}: ${countOf(differences.length)}${isForPerson ? ", for a person to put right" : `. To mend: npm start -- --stack ${stack}`}`);
}
