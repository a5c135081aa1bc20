import { flushCompileCache } from "node:module";

import grpc from "@grpc/grpc-js";

/** Largest gRPC message a plugin accepts, in bytes: the limit of the engine itself (sdk/go/common/util/rpcutil). */
const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;

/**
 * Serves one gRPC service as a Pulumi plugin: listens on a free loopback port, writes the port to stdout (which is
 * how the engine learns it), and ends with the engine.
 *
 * The engine holds the write end of a plugin's stdin for as long as it lives, so end-of-file there means that it is
 * gone, be it by SIGKILL: nothing is left running behind it.
 *
 * @param onEngineGone called once before the process ends, to stop what the plugin has started
 */
export function servePlugin(
  service: grpc.ServiceDefinition,
  implementation: grpc.UntypedServiceImplementation,
  onEngineGone: () => void = () => undefined,
): void {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  });
  server.addService(service, implementation);
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) {
      process.stderr.write(`cannot listen on a loopback port: ${error.message}\n`);
      process.exit(1);
    }
    process.stdout.write(`${port}\n`);
    // Now, where a cache is set: the engine kills plugins that are not gone at once.
    flushCompileCache();
  });

  const end = (): void => {
    onEngineGone();
    process.exit(0);
  };
  process.stdin.on("end", end).on("error", end).resume();
  process.on("SIGTERM", end);
}
