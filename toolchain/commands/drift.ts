/** `npm run drift`: tells what differs from what is declared. Exit code 0 if nothing does, 7 if something does. It changes nothing. */
import { readCommandLine } from "./lib/command-line.ts";
import { reportDrift } from "./lib/drift-report.ts";
import { countOf, driftLine, driftMarkdown } from "./lib/drift-text.ts";
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
  else say([...differences.map(driftLine), ...(problem === "" || differences.length > 0 ? [verdict(differences.length)] : [])].join("\n"));
  if (problem !== "") process.stderr.write(`The check did not come to its end, and neither would an update:\n${problem}\n`);
  process.exitCode = problem !== "" ? 1 : differences.length > 0 ? driftExitCode : 0;
});

function verdict(count: number): string {
  if (count === 0) return styled("green", `Stack ${stack}: no difference from what is declared.`);
  return styled("yellow", `Stack ${stack}: ${countOf(count)}. To mend: npm start -- --stack ${stack}`);
}
