import grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engine from "@pulumi/pulumi/proto/engine_pb.js";

/** Shows lines in the engine's display, beside the resource that they are about. */
export class EngineLog {
  readonly #client: InstanceType<typeof engineService.EngineClient> | undefined;

  /** @param address the engine's, as plugins get it on their command line; without one, nothing is shown */
  constructor(address: string) {
    this.#client = address === "" ? undefined : new engineService.EngineClient(address, grpc.credentials.createInsecure());
  }

  /** Shows a line for as long as the resource's operation lasts. A line that cannot be shown is not worth an error. */
  status(urn: string, line: string): void {
    const request = new engine.LogRequest();
    request.setSeverity(engine.LogSeverity.INFO);
    request.setMessage(line);
    request.setUrn(urn);
    request.setEphemeral(true);
    this.#client?.log(request, () => undefined);
  }
}
