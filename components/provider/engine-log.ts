import grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engine from "@pulumi/pulumi/proto/engine_pb.js";

/** Shows lines in the engine's display, beside the resource that they are about. A line that cannot be shown is not worth an error. */
export class EngineLog {
  readonly #client: InstanceType<typeof engineService.EngineClient> | undefined;

  /** @param address the engine's, as plugins get it on their command line; without one, nothing is shown */
  constructor(address: string) {
    this.#client = address === "" ? undefined : new engineService.EngineClient(address, grpc.credentials.createInsecure());
  }

  /** Shows a line that stays. */
  say(urn: string, line: string): void {
    this.#log(urn, line, false);
  }

  /** Shows a line for as long as the resource's operation lasts. */
  status(urn: string, line: string): void {
    this.#log(urn, line, true);
  }

  #log(urn: string, line: string, ephemeral: boolean): void {
    const request = new engine.LogRequest();
    request.setSeverity(engine.LogSeverity.INFO);
    request.setMessage(line);
    request.setUrn(urn);
    request.setEphemeral(ephemeral);
    this.#client?.log(request, () => undefined);
  }
}

/** The engine's address among a plugin's arguments: the last one; flags such as `-v=9` come before it. */
export function engineAddressFrom(argv: readonly string[]): string {
  const last = argv.at(-1);
  return last === undefined || last.startsWith("-") ? "" : last;
}
