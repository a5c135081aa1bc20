import { flushCompileCache } from "node:module";
import grpc from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import status from "@pulumi/pulumi/proto/status_pb.js";
import any from "google-protobuf/google/protobuf/any_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import type { WireResource } from "./dispatcher.ts";
import { ReplacementRefusedError, Replacements } from "./replacements.ts";
import type { Kept } from "./replacements.ts";
import { HalfDoneError } from "./resource-type.ts";
import { EngineLog, engineAddressFrom } from "./engine-log.ts";
import type { Report } from "./resource-type.ts";
import type { Values } from "./wire.ts";

/**
 * Serves resources to the Pulumi engine (proto/pulumi/provider.proto).
 * `pulumi.provider.main` of the SDK would do it too, but it drops what a person needs to see: which properties have
 * drifted (detailed diffs), what a preview can already know, and errors without a stack trace.
 */
export interface ProviderOptions {
  readonly version: string;
  /** By type token. */
  readonly resources: Readonly<Record<string, WireResource>>;
}

/** Largest message, in bytes: the engine's own limit (pulumi sdk/go/common/util/rpcutil). */
const maxMessageBytes = 400 * 1024 * 1024;

/** Listens on a free loopback port and writes its number to standard output, where the engine waits for it. */
export function serveProvider(options: ProviderOptions): void {
  const server = new grpc.Server({ "grpc.max_receive_message_length": maxMessageBytes, "grpc.max_send_message_length": maxMessageBytes });
  server.addService(providerService.ResourceProviderService, implementation(options));
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    process.stdout.write(`${port}\n`);
    // Now, where a cache is set: the engine kills plugins that are not gone at once.
    flushCompileCache();
  });
  // The engine keeps our standard input open while it lives. When it is killed, nothing here may go on changing the world
  // behind the back of the next run.
  const end = (): void => {
    process.exit(0);
  };
  process.stdin.on("end", end).on("error", end).resume();
  process.on("SIGTERM", end);
}

function implementation({ version, resources }: ProviderOptions): grpc.UntypedServiceImplementation {
  const resourceOf = (urn: string): WireResource => {
    const token = urn.split("::")[2]?.split("$").at(-1) ?? "";
    const resource = resources[token];
    if (resource === undefined) throw new Error(`this provider has no resource ${token}; it has ${Object.keys(resources).join(", ")}`);
    return resource;
  };
  const replacements = new Replacements();
  const log = new EngineLog(engineAddressFrom(process.argv));
  const reportOn = (urn: string): Report => ({
    say: (line) => {
      log.say(urn, line);
    },
    status: (line) => {
      log.status(urn, line);
    },
  });
  return {
    getPluginInfo: unary(() => {
      const info = new plugin.PluginInfo();
      info.setVersion(version);
      return info;
    }),
    getSchema: unary(() => {
      const response = new provider.GetSchemaResponse();
      response.setSchema(JSON.stringify({ name: "redisaccess", version }));
      return response;
    }),
    configure: unary(() => {
      const response = new provider.ConfigureResponse();
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      return response;
    }),
    checkConfig: unary((request: provider.CheckRequest) => {
      const response = new provider.CheckResponse();
      response.setInputs(request.getNews());
      return response;
    }),
    diffConfig: unary(() => new provider.DiffResponse()),
    attach: unary(() => new empty.Empty()),
    cancel: unary(() => new empty.Empty()),
    check: unary(async (request: provider.CheckRequest) => {
      replacements.declare(request.getUrn());
      return check(resourceOf(request.getUrn()), request);
    }),
    diff: unary((request: provider.DiffRequest) => diff(resourceOf(request.getUrn()), request)),
    create: unary(async (request: provider.CreateRequest) => {
      replacements.begin(request.getUrn());
      const created = await resourceOf(request.getUrn()).create(fromStruct(request.getProperties()), request.getPreview(), reportOn(request.getUrn()));
      const response = new provider.CreateResponse();
      response.setId(created.id);
      response.setProperties(toStruct(created.state));
      return response;
    }),
    read: unary(async (request: provider.ReadRequest) => {
      const state = await resourceOf(request.getUrn()).read(fromStruct(request.getInputs()), fromStruct(request.getProperties()));
      const response = new provider.ReadResponse();
      // An answer without id says that it is gone.
      if (state === undefined) return response;
      response.setId(request.getId());
      response.setProperties(toStruct(state));
      response.setInputs(request.getInputs());
      return response;
    }),
    update: unary(async (request: provider.UpdateRequest) => {
      const state = await update(resourceOf(request.getUrn()), request, reportOn(request.getUrn()));
      const response = new provider.UpdateResponse();
      response.setProperties(toStruct(state));
      return response;
    }),
    delete: unary(async (request: provider.DeleteRequest) => {
      const urn = request.getUrn();
      const kept = { id: request.getId(), inputs: request.getOldInputs(), properties: request.getProperties() };
      const deletion = resourceOf(urn).delete(fromStruct(kept.inputs), fromStruct(kept.properties), replacements.isReplaced(urn));
      await replacements.end(urn, kept, deletion);
      return new empty.Empty();
    }),
  };
}

async function check(resource: WireResource, request: provider.CheckRequest): Promise<provider.CheckResponse> {
  const olds = request.getOlds();
  const known = olds !== undefined && olds.getFieldsMap().getLength() > 0;
  const result = await resource.check(known ? fromStruct(olds) : undefined, fromStruct(request.getNews()));
  const response = new provider.CheckResponse();
  response.setInputs(toStruct(result.inputs));
  response.setFailuresList(
    result.failures.map(({ property, reason }) => {
      const failure = new provider.CheckFailure();
      // Were the property named to the engine, it would print its value, a secret's too (pulumi/pulumi#19465).
      failure.setReason(`${property}: ${reason}`);
      return failure;
    }),
  );
  return response;
}

async function update(resource: WireResource, request: provider.UpdateRequest, report: Report): Promise<Values> {
  try {
    return await resource.update(fromStruct(request.getOlds()), fromStruct(request.getNews()), request.getPreview(), report);
  } catch (error) {
    throw error instanceof HalfDoneError ? new HalfDone(error.message, { id: request.getId(), inputs: request.getNews(), properties: toStruct(error.state) }) : error;
  }
}

function diff(resource: WireResource, request: provider.DiffRequest): provider.DiffResponse {
  const state = fromStruct(request.getOlds());
  const { changed, replaces } = resource.diff(state, fromStruct(request.getNews()));
  const response = new provider.DiffResponse();
  const { DIFF_SOME, DIFF_NONE } = provider.DiffResponse.DiffChanges;
  response.setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE);
  response.setDiffsList([...changed]);
  response.setReplacesList([...replaces]);
  // Paths, ports and records are names of things in the world: the new one cannot stand beside the old.
  response.setDeletebeforereplace(replaces.length > 0);
  response.setHasdetaileddiff(true);
  for (const name of changed) {
    const kinds = provider.PropertyDiff.Kind;
    const detail = new provider.PropertyDiff();
    if (name in state) detail.setKind(replaces.includes(name) ? kinds.UPDATE_REPLACE : kinds.UPDATE);
    else detail.setKind(replaces.includes(name) ? kinds.ADD_REPLACE : kinds.ADD);
    response.getDetaileddiffMap().set(name, detail);
  }
  return response;
}

function fromStruct(message: struct.Struct | undefined): Values {
  return message === undefined ? {} : message.toJavaScript();
}

function toStruct(values: Values): struct.Struct {
  // Through JSON: what protobuf's Struct has no form for, such as absent values, goes before it can fail there.
  return struct.Struct.fromJavaScript(JSON.parse(JSON.stringify(values)) as Record<string, struct.JavaScriptValue>);
}

/** What has failed and left something, in the engine's terms: it keeps the state that is told, and updates the resource again in the next run. */
class HalfDone extends Error {
  readonly metadata = new grpc.Metadata();

  constructor(message: string, { id, inputs, properties }: Kept) {
    super(message);
    const failed = new provider.ErrorResourceInitFailed();
    failed.setId(id);
    failed.setProperties(properties);
    failed.setInputs(inputs);
    failed.setReasonsList([message]);
    const detail = new any.Any();
    detail.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const answer = new status.Status();
    answer.setCode(grpc.status.UNKNOWN);
    answer.setMessage(message);
    answer.addDetails(detail);
    // How gRPC carries structured errors (google.rpc.Status); its library for Node leaves that to the program.
    this.metadata.add("grpc-status-details-bin", Buffer.from(answer.serializeBinary()));
  }
}

/** An async function as a gRPC method; what it throws reaches the user as its message, without a stack. */
function unary<Request, Response>(method: (request: Request) => Response | Promise<Response>): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    new Promise<Response>((resolve) => {
      resolve(method(call.request));
    }).then(
      (response) => {
        callback(null, response);
      },
      (thrown: unknown) => {
        const error = thrown instanceof ReplacementRefusedError ? new HalfDone(thrown.message, thrown.kept) : thrown;
        const details = error instanceof Error ? error.message : String(error);
        callback({ code: grpc.status.UNKNOWN, details, ...(error instanceof HalfDone && { metadata: error.metadata }) });
      },
    );
  };
}
