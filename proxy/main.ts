import { parseArgs } from "node:util";
import { ConfigError, loadConfig } from "./config.ts";
import type { ProxyConfig } from "./config.ts";
import { refuseTaken } from "./server/listen-at.ts";
import { createLogger, withFields } from "./server/log.ts";
import { Proxy } from "./server/proxy.ts";
import { SingleProcess } from "./server/single-process.ts";
import { WorkerFleet } from "./workers/worker-fleet.ts";
import { Worker } from "./workers/worker.ts";

const HELP = `Usage: node proxy.mjs --config FILE [--check | --take-over PID]

The access proxy: clients come with mutual TLS, and reach a Redis Cluster (or a single Redis server) as if it were one server.

  --config FILE   the configuration, YAML; paths in it are relative to it
  --check         only say whether the configuration can be used
  --take-over PID begin to take clients beside the proxy that runs as PID, and have that one drain and end
  --help          this text

Logs are JSON lines on standard output. SIGTERM and SIGINT let clients finish and end. SIGHUP opens
the audit's file anew and takes over the configuration and the files it names, certificates among them, wholly or not at all;
clients stay. With several \`workers\` all of this is said to the first process, which starts the others and replaces those that die.
Exit codes: 0 ended as asked; 1 it could not start; 2 wrong arguments or configuration.
`;

/** Ends the process with a sentence, never with a stack trace. */
function fail(code: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

function options(): { config: string; check: boolean; predecessor: number | undefined } | { worker: string } {
  try {
    const { values } = parseArgs({ options: { config: { type: "string" }, check: { type: "boolean" }, "take-over": { type: "string" }, worker: { type: "string" }, help: { type: "boolean" } } });
    if (values.help === true) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    // Not for people: how the proxy starts its workers, who follow it by the channel between them.
    if (values.worker !== undefined && process.connected) return { worker: values.worker };
    if (values.config === undefined) fail(2, "--config FILE is missing; --help says more");
    return { config: values.config, check: values.check ?? false, predecessor: readPid(values["take-over"]) };
  } catch (error) {
    return fail(2, `${error instanceof Error ? error.message : String(error)}; --help says more`);
  }
}

function readPid(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--take-over ${text} is no process id`);
  return Number(text);
}

async function load(file: string): Promise<ProxyConfig> {
  try {
    return await loadConfig(file);
  } catch (error) {
    if (error instanceof ConfigError) fail(2, `${file}: ${error.message}`);
    throw error;
  }
}

function endPredecessor(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // it has ended by itself
  }
}

async function serve({ config: file, check, predecessor }: { config: string; check: boolean; predecessor: number | undefined }): Promise<void> {
  const config = await load(file);
  if (check) {
    process.stdout.write(`${file}: the configuration can be used\n`);
    process.exit(0);
  }
  const log = createLogger();
  const proxy = new Proxy(config, config.workers === 1 ? new SingleProcess(log) : new WorkerFleet(process.argv[1]!, log), log);
  try {
    if (predecessor === undefined) await refuseTaken([...config.databases.map(({ listen }) => listen), ...(config.admin === undefined ? [] : [config.admin])]);
    await proxy.start();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log.error("cannot start", { error: message });
    fail(error instanceof ConfigError ? 2 : 1, message);
  }
  if (predecessor !== undefined) {
    log.info("takes over", { predecessor });
    endPredecessor(predecessor);
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      void proxy.drain().then(() => process.exit(0));
    });
  }
  process.on("SIGHUP", () => {
    proxy.reload(() => loadConfig(file)).catch((error: unknown) => {
      log.error("configuration not taken over, the one before stays in force", { error });
    });
  });
}

const chosen = options();
if ("worker" in chosen) new Worker(withFields(createLogger(), { worker: Number(chosen.worker) })).run();
else await serve(chosen);
