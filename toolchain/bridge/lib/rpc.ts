import grpc from "@grpc/grpc-js";

/** A unary gRPC method as an ordinary async function. */
export type UnaryMethod<Request, Response> = (request: Request, call: grpc.ServerUnaryCall<Request, Response>) => Promise<Response> | Response;

/** An error that reaches the engine with a gRPC status of its own; any other error arrives as UNKNOWN. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: grpc.status;
  readonly metadata: grpc.Metadata | undefined;

  constructor(code: grpc.status, message: string, metadata?: grpc.Metadata) {
    super(message);
    this.code = code;
    this.metadata = metadata;
  }
}

/** Adapts an async function to grpc-js's callback form; what it throws becomes the status the engine shows. */
export function unary<Request, Response>(method: UnaryMethod<Request, Response>): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => method(call.request, call))
      .then(
        (response) => {
          callback(null, response);
        },
        (thrown: unknown) => {
          callback(toStatus(thrown));
        },
      );
  };
}

function toStatus(thrown: unknown): Partial<grpc.StatusObject> {
  const details = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof RpcError) {
    return thrown.metadata ? { code: thrown.code, details, metadata: thrown.metadata } : { code: thrown.code, details };
  }
  return { code: grpc.status.UNKNOWN, details };
}
