import { parseArgs } from "node:util";
import { ConfigError, loadConfig } from "./config.ts";
import type { ProxyConfig } from "./config.ts";
import { PredecessorProcess, startSuccessor } from "./server/hand-over.ts";
import { ListeningSockets } from "./server/listening-sockets.ts";
import { createLogger, withFields } from "./server/log.ts";
import type { Logger } from "./server/log.ts";
import { Proxy } from "./server/proxy.ts";
import { SingleProcess } from "./server/single-process.ts";
import { WorkerFleet } from "./workers/worker-fleet.ts";
import { Worker } from "./workers/worker.ts";

const HELP = `Usage: node proxy.mjs --config FILE [--check] [--successor FILE]

The access proxy: clients come with mutual TLS, and reach a Redis Cluster (or a single Redis server) as if it were one server.

  --config FILE   the configuration, YAML; paths in it are relative to it
  --check         only say whether the configuration can be used
  --successor FILE what SIGUSR2 starts in its place: JSON, {"command": [PROGRAM, ARGUMENT, ...], "environment": {NAME: VALUE, ...}}
  --help          this text

Logs are JSON lines on standard output. SIGTERM and SIGINT let clients finish and end. SIGHUP opens
the audit's file anew and takes over the configuration and the files it names, certificates among them, wholly or not at all;
clients stay. SIGUSR2 starts the successor, hands the listening sockets over to it, and ends as SIGTERM does once that one takes
clients: no connection is refused. If it does not come so far, all stays as it is. With several \`workers\` all of this is said to the first process, which starts the others and replaces those that die.
Exit codes: 0 ended as asked; 1 it could not start; 2 wrong arguments or configuration.
`;

/** Ends the process with a sentence, never with a stack trace. */
function fail(code: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

interface ServeOptions {
  readonly config: string;
  readonly check: boolean;
  /** File of the successor's command. */
  readonly successor: string | undefined;
  /** Whether this process takes the place of the one that has started it. */
  readonly takesOver: boolean;
}

function options(): ServeOptions | { worker: string } {
  try {
    const { values } = parseArgs({ options: { config: { type: "string" }, check: { type: "boolean" }, successor: { type: "string" }, "take-over": { type: "boolean" }, worker: { type: "string" }, help: { type: "boolean" } } });
    if (values.help === true) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    // Not for people: how the proxy starts its workers, who follow it by the channel between them.
    if (values.worker !== undefined && process.connected) return { worker: values.worker };
    if (values.config === undefined) fail(2, "--config FILE is missing; --help says more");
    return { config: values.config, check: values.check ?? false, successor: values.successor, takesOver: values["take-over"] ?? false };
  } catch (error) {
    return fail(2, `${error instanceof Error ? error.message : String(error)}; --help says more`);
  }
}

async function load(file: string): Promise<ProxyConfig> {
  try {
    return await loadConfig(file);
  } catch (error) {
    if (error instanceof ConfigError) fail(2, `${file}: ${error.message}`);
    throw error;
  }
}

async function serve({ config: file, check, successor, takesOver }: ServeOptions): Promise<void> {
  const config = await load(file);
  if (check) {
    process.stdout.write(`${file}: the configuration can be used\n`);
    process.exit(0);
  }
  const log = createLogger();
  const predecessor = takesOver ? findPredecessor() : undefined;
  const sockets = new ListeningSockets(predecessor);
  const proxy = new Proxy(config, config.workers === 1 ? new SingleProcess(sockets, log) : new WorkerFleet(process.argv[1]!, sockets, log), sockets, log);
  const started = proxy.start(predecessor?.reached);
  // A signal without a handler ends the process, and who sends one cannot know how far it is.
  onSignal("SIGHUP", started, () => {
    proxy.reload(() => loadConfig(file)).catch((error: unknown) => {
      log.error("configuration not taken over, the one before stays in force", { error });
    });
  });
  onSignal("SIGUSR2", started, handOver(successor, sockets, proxy, log));
  try {
    await started;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log.error("cannot start", { error: message });
    // A door may have been open, and clients come in.
    await proxy.drain();
    fail(error instanceof ConfigError ? 2 : 1, message);
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      void proxy.drain().then(() => process.exit(0));
    });
  }
  if (predecessor !== undefined) {
    log.info("takes over", { predecessor: process.ppid });
    predecessor.dismiss();
  }
}

function findPredecessor(): PredecessorProcess | undefined {
  try {
    return PredecessorProcess.find();
  } catch (error) {
    return fail(2, error instanceof Error ? error.message : String(error));
  }
}

/** Does what a signal asks for, as soon as the proxy has started. */
function onSignal(signal: "SIGHUP" | "SIGUSR2", started: Promise<void>, act: () => void): void {
  process.on(signal, () => {
    void started.then(act, () => undefined);
  });
}

function handOver(successor: string | undefined, sockets: ListeningSockets, proxy: Proxy, log: Logger): () => void {
  let begun = false;
  return () => {
    if (successor === undefined) {
      log.error("no successor: SIGUSR2 starts what the file of --successor names, and there is none; this process goes on");
      return;
    }
    if (begun) return;
    begun = true;
    proxy.reached().then((reached) => startSuccessor(successor, sockets, reached)).then(
      ({ pid }) => {
        log.info("a successor takes clients", { successor: pid });
        void proxy.drain(true).then(() => process.exit(0));
      },
      (error: unknown) => {
        begun = false;
        log.error("no successor; this process goes on", { error });
      },
    );
  };
}

const chosen = options();
if ("worker" in chosen) new Worker(withFields(createLogger(), { worker: Number(chosen.worker) })).run();
else await serve(chosen);
