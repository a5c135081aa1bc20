/**
 * pulumi-language-nodejs: the language host that runs Node programs for the Pulumi engine, for machines where the
 * official one cannot be had. It implements the part of the LanguageRuntime service (proto/pulumi/language.proto)
 * that previewing, updating and destroying a stack takes; code generation and plugins in Node source form are not in it.
 */
import { spawn } from "node:child_process";

import type grpc from "@grpc/grpc-js";
import languageService from "@pulumi/pulumi/proto/language_grpc_pb.js";
import language from "@pulumi/pulumi/proto/language_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";

import { engineAddressFrom } from "../../../components/provider/engine-log.ts";
import { servePlugin } from "../lib/plugin-server.ts";
import { type UnaryMethod, unary } from "../lib/rpc.ts";
import { ProgramRunner, sdkVersion } from "./program-runner.ts";
import { installedDependencies, requiredPlugins } from "./required-plugins.ts";

const runner = new ProgramRunner();
let engineAddress = engineAddressFrom(process.argv);

const handshake: UnaryMethod<language.LanguageHandshakeRequest, language.LanguageHandshakeResponse> = (request) => {
  engineAddress = request.getEngineAddress();
  return new language.LanguageHandshakeResponse();
};

const getPluginInfo: UnaryMethod<empty.Empty, plugin.PluginInfo> = () => {
  const info = new plugin.PluginInfo();
  info.setVersion(sdkVersion(process.cwd()));
  return info;
};

const getRequiredPackages: UnaryMethod<language.GetRequiredPackagesRequest, language.GetRequiredPackagesResponse> = (request) => {
  const response = new language.GetRequiredPackagesResponse();
  for (const required of requiredPlugins(directoryOf(request))) {
    const dependency = new plugin.PackageDependency();
    dependency.setName(required.name);
    dependency.setKind("resource");
    dependency.setVersion(required.version);
    dependency.setServer(required.server);
    response.addPackages(dependency);
  }
  return response;
};

const getProgramDependencies: UnaryMethod<language.GetProgramDependenciesRequest, language.GetProgramDependenciesResponse> = (request) => {
  const response = new language.GetProgramDependenciesResponse();
  for (const installed of installedDependencies(directoryOf(request))) {
    const dependency = new language.DependencyInfo();
    dependency.setName(installed.name);
    dependency.setVersion(installed.version);
    response.addDependencies(dependency);
  }
  return response;
};

const about: UnaryMethod<language.AboutRequest, language.AboutResponse> = () => {
  const response = new language.AboutResponse();
  response.setExecutable(process.execPath);
  response.setVersion(process.version);
  return response;
};

const run: UnaryMethod<language.RunRequest, language.RunResponse> = async (request, call) => {
  call.on("cancelled", () => {
    runner.stopAll("SIGTERM");
  });
  const info = request.getInfo();
  const programDirectory = info?.getProgramDirectory() ?? request.getPwd();
  const result = await runner.run(
    {
      monitorAddress: request.getMonitorAddress(),
      engineAddress,
      project: request.getProject(),
      stack: request.getStack(),
      organization: request.getOrganization(),
      rootDirectory: info?.getRootDirectory() ?? "",
      pwd: request.getPwd(),
      dryRun: request.getDryrun(),
      parallel: request.getParallel(),
      entryPoint: info?.getEntryPoint() ?? "",
      args: request.getArgsList(),
      config: Object.fromEntries(request.getConfigMap().toArray()),
      configSecretKeys: request.getConfigsecretkeysList(),
    },
    programDirectory,
    info?.getOptions()?.toJavaScript() ?? {},
  );
  const response = new language.RunResponse();
  response.setError(result.error);
  response.setBail(result.bail);
  return response;
};

/** `pulumi install`: npm, as the program's lock file has it. */
function installDependencies(call: grpc.ServerWritableStream<language.InstallDependenciesRequest, language.InstallDependenciesResponse>): void {
  const npm = spawn("npm", ["ci"], { cwd: directoryOf(call.request), stdio: ["ignore", "pipe", "pipe"] });
  npm.stdout.on("data", (text: Buffer) => {
    const response = new language.InstallDependenciesResponse();
    response.setStdout(text);
    call.write(response);
  });
  npm.stderr.on("data", (text: Buffer) => {
    const response = new language.InstallDependenciesResponse();
    response.setStderr(text);
    call.write(response);
  });
  npm.on("error", (error) => {
    call.destroy(new Error(`cannot start npm: ${error.message}`));
  });
  npm.on("close", (code) => {
    if (code === 0) call.end();
    else call.destroy(new Error(`npm ci ended with exit code ${code ?? -1}`));
  });
}

/** Stops the programs that run; the engine asks for this when the user cancels. */
const cancel: UnaryMethod<empty.Empty, empty.Empty> = () => {
  runner.stopAll("SIGTERM");
  return new empty.Empty();
};

function directoryOf(request: { getInfo(): language.ProgramInfo | undefined }): string {
  return request.getInfo()?.getProgramDirectory() ?? process.cwd();
}

servePlugin(
  languageService.LanguageRuntimeService,
  {
    handshake: unary(handshake),
    getPluginInfo: unary(getPluginInfo),
    getRequiredPackages: unary(getRequiredPackages),
    getProgramDependencies: unary(getProgramDependencies),
    about: unary(about),
    runtimeOptionsPrompts: unary(() => new language.RuntimeOptionsResponse()),
    run: unary(run),
    installDependencies,
    cancel: unary(cancel),
  },
  () => {
    runner.stopAll("SIGKILL");
  },
);
