import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClientReport, ClientTarget } from "./client-report.ts";
import { runProgram } from "../../support/run-program.ts";

const sources = join(import.meta.dirname, "go-redis");
/** The first build compiles go-redis with Go's own libraries; Go keeps what it has compiled for each user. */
const buildLimitMs = 300_000;
const runLimitMs = 60_000;

/** The scenario by go-redis, as a program that is built here. */
export async function runGoRedis(target: ClientTarget): Promise<ClientReport> {
  const directory = mkdtempSync(join(tmpdir(), "redis-access-go-redis-"));
  const program = join(directory, "client");
  try {
    await build(program);
    return JSON.parse(await runProgram(program, [], { input: JSON.stringify(target), limitMs: runLimitMs })) as ClientReport;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @throws Error that says what is missing and what to type */
async function build(program: string): Promise<void> {
  const args = ["build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", program, "."];
  try {
    await runProgram("go", args, { directory: sources, environment: { CGO_ENABLED: "0", GOFLAGS: "" }, limitMs: buildLimitMs });
  } catch (error) {
    throw new Error(
      `go-redis cannot be had for its conformance test: the version that ${join(sources, "go.mod")} pins, by Go 1.26 or one of 1.21 or newer that may fetch it (GOTOOLCHAIN=auto). ` +
        `Type: go version && go env GOPROXY   (is there a Go, and does it reach its module proxy?), or see https://go.dev/dl/\n${String(error)}`,
      { cause: error },
    );
  }
}
