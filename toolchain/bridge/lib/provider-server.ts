import grpc from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import pb from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";

import { servePlugin } from "./plugin-server.ts";
import { fromStruct, toStruct } from "./properties.ts";
import type { InputFailure, PropertyChange, Provider, ResourceIdentity, ResourceState, ResourceType } from "./resource-type.ts";
import { RpcError, unary } from "./rpc.ts";

interface Addressed {
  getUrn(): string;
}

/** Serves a provider to the engine (the ResourceProvider service of proto/pulumi/provider.proto). */
export function serveProvider(provider: Provider): void {
  servePlugin(providerService.ResourceProviderService, providerMethods(provider), () => {
    provider.cancel();
  });
}

function providerMethods(provider: Provider): grpc.UntypedServiceImplementation {
  return {
    getPluginInfo: unary<empty.Empty, plugin.PluginInfo>(() => {
      const info = new plugin.PluginInfo();
      info.setVersion(provider.version);
      return info;
    }),
    attach: unary<plugin.PluginAttach, empty.Empty>(() => new empty.Empty()),
    checkConfig: unary<pb.CheckRequest, pb.CheckResponse>((request) => {
      const response = new pb.CheckResponse();
      response.setInputs(request.getNews());
      return response;
    }),
    diffConfig: unary<pb.DiffRequest, pb.DiffResponse>(() => diffResponse({})),
    configure: unary<pb.ConfigureRequest, pb.ConfigureResponse>(() => {
      const response = new pb.ConfigureResponse();
      response.setAcceptsecrets(provider.acceptSecrets);
      response.setSupportspreview(true);
      response.setAcceptresources(true);
      return response;
    }),
    check: unary<pb.CheckRequest, pb.CheckResponse>((request) => {
      const { inputs, failures } = resourceType(provider, request).check(fromStruct(request.getNews()));
      const response = new pb.CheckResponse();
      response.setInputs(toStruct(inputs));
      response.setFailuresList(failures.map(checkFailure));
      return response;
    }),
    diff: unary<pb.DiffRequest, pb.DiffResponse>((request) => {
      const news = { ...fromStruct(request.getNews()) };
      const olds = fromStruct(request.getOlds());
      for (const name of request.getIgnorechangesList()) if (name in olds) news[name] = olds[name]!;
      return diffResponse(resourceType(provider, request).diff({ id: request.getId(), outputs: olds }, news));
    }),
    create: unary<pb.CreateRequest, pb.CreateResponse>(async (request) => {
      const inputs = fromStruct(request.getProperties());
      const state = await resourceType(provider, request).create(identity(request), inputs, request.getPreview());
      const response = new pb.CreateResponse();
      response.setId(state.id);
      response.setProperties(toStruct(state.outputs));
      return response;
    }),
    read: unary<pb.ReadRequest, pb.ReadResponse>((request) => {
      const state = stateOf(request.getId(), request.getProperties());
      if (Object.keys(state.outputs).length === 0) {
        throw new RpcError(grpc.status.UNIMPLEMENTED, `${typeOf(request.getUrn())} cannot be imported: what it is exists in the state only`);
      }
      const response = new pb.ReadResponse();
      response.setId(state.id);
      response.setProperties(toStruct(resourceType(provider, request).read(state)));
      response.setInputs(request.getInputs());
      return response;
    }),
    update: unary<pb.UpdateRequest, pb.UpdateResponse>(async (request) => {
      const state = stateOf(request.getId(), request.getOlds());
      const outputs = await resourceType(provider, request).update(identity(request), state, fromStruct(request.getNews()), request.getPreview());
      const response = new pb.UpdateResponse();
      response.setProperties(toStruct(outputs));
      return response;
    }),
    delete: unary<pb.DeleteRequest, empty.Empty>(async (request) => {
      await resourceType(provider, request).delete(identity(request), stateOf(request.getId(), request.getProperties()));
      return new empty.Empty();
    }),
    invoke: unary<pb.InvokeRequest, pb.InvokeResponse>(async (request) => {
      const call = provider.functions[request.getTok()];
      if (call === undefined) throw provider.unsupported(request.getTok());
      const response = new pb.InvokeResponse();
      response.setReturn(toStruct(await call(fromStruct(request.getArgs()))));
      return response;
    }),
    cancel: unary<empty.Empty, empty.Empty>(() => {
      provider.cancel();
      return new empty.Empty();
    }),
  };
}

function resourceType(provider: Provider, request: Addressed): ResourceType {
  const token = typeOf(request.getUrn());
  const type = provider.resources[token];
  if (type === undefined) throw provider.unsupported(token);
  return type;
}

/** The type in a URN, `urn:pulumi:stack::project::parent$type::name`. */
function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}

function identity(request: Addressed): ResourceIdentity {
  const urn = request.getUrn();
  return { urn, name: urn.split("::").slice(3).join("::") };
}

function stateOf(id: string, properties: Parameters<typeof fromStruct>[0]): ResourceState {
  return { id, outputs: fromStruct(properties) };
}

function checkFailure(failure: InputFailure): pb.CheckFailure {
  const message = new pb.CheckFailure();
  message.setProperty(failure.property);
  message.setReason(failure.reason);
  return message;
}

function diffResponse(changes: Readonly<Record<string, PropertyChange>>): pb.DiffResponse {
  const response = new pb.DiffResponse();
  const entries = Object.entries(changes);
  response.setChanges(entries.length === 0 ? pb.DiffResponse.DiffChanges.DIFF_NONE : pb.DiffResponse.DiffChanges.DIFF_SOME);
  response.setHasdetaileddiff(true);
  for (const [name, change] of entries) {
    response.addDiffs(name);
    if (change.replace) response.addReplaces(name);
    const detail = new pb.PropertyDiff();
    detail.setKind(diffKind(change));
    response.getDetaileddiffMap().set(name, detail);
  }
  return response;
}

function diffKind({ kind, replace }: PropertyChange): pb.PropertyDiff.Kind {
  const kinds = pb.PropertyDiff.Kind;
  switch (kind) {
    case "add":
      return replace ? kinds.ADD_REPLACE : kinds.ADD;
    case "delete":
      return replace ? kinds.DELETE_REPLACE : kinds.DELETE;
    case "update":
      return replace ? kinds.UPDATE_REPLACE : kinds.UPDATE;
  }
}
