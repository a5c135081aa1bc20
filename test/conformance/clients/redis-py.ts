import { join } from "node:path";
import { pythonWithRedisPy } from "../../support/redis-py.ts";
import { runProgram } from "../../support/run-program.ts";
import type { ClientReport, ClientTarget } from "./client-report.ts";

const program = join(import.meta.dirname, "redis-py/client.py");
const runLimitMs = 60_000;

/** The scenario by redis-py. */
export async function runRedisPy(target: ClientTarget): Promise<ClientReport> {
  const output = await runProgram(await pythonWithRedisPy(), [program], { input: JSON.stringify(target), limitMs: runLimitMs });
  return JSON.parse(output) as ClientReport;
}
