import { setImmediate } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { MockResourceArgs, MockResourceResult } from "@pulumi/pulumi/runtime/index.js";
import type resource from "@pulumi/pulumi/proto/resource_pb.js";
import { decode } from "../../../components/provider/wire.ts";
import type { Values } from "../../../components/provider/wire.ts";
import type { Properties } from "../../../toolchain/bridge/lib/properties.ts";
import { revealAll } from "../../../toolchain/bridge/lib/properties.ts";
import { certRequest, locallySignedCert, selfSignedCert } from "../../../toolchain/bridge/tls/certificate-kinds.ts";
import { certificateResource } from "../../../toolchain/bridge/tls/certificate-resource.ts";
import { privateKeyResource } from "../../../toolchain/bridge/tls/key-resource.ts";

/** A resource as the program has declared it to the engine. */
export interface Registration {
  readonly type: string;
  readonly name: string;
  /** With the types of all parents, as the engine makes it: no two resources may have the same. */
  readonly urn: string;
  /** What it is a part of; undefined for the program's own. */
  readonly parent: Registration | undefined;
  readonly custom: boolean;
  readonly protect: boolean;
  /** Names of the resources that it is made after, and deleted before. */
  readonly dependencies: ReadonlySet<string>;
  readonly inputs: Values;
  /** Inputs that are, or hold, a secret. */
  readonly secretInputs: ReadonlySet<string>;
  /** What it has registered as its outputs when it was complete; undefined if it never did. */
  outputs: Values | undefined;
  /** Outputs that are, or hold, a secret. */
  secretOutputs: ReadonlySet<string>;
}

/** How the mock engine differs from a plain update. */
export interface MockEngineOptions {
  /** Whether it is a preview: nothing is made, and all outputs are unknown. */
  readonly preview?: boolean;
  /** Names of resources that are yet to be made, in a preview of a change: all others are there. */
  readonly yetToBeMade?: ReadonlySet<string>;
  /** What the redis-server says of itself. */
  readonly redisVersion?: string;
  /** When the terms of certificates have begun. Default: long ago. */
  readonly termsBegun?: string;
  /** Alters what certificates are asked for, as a plugin with a fault would. */
  readonly spoil?: (type: string, inputs: Properties) => Properties;
}

type Register = (request: resource.RegisterResourceRequest, callback: unknown) => Promise<void>;
type RegisterOutputs = (request: resource.RegisterResourceOutputsRequest, callback: unknown) => void;

const certificates = {
  "tls:index/privateKey:PrivateKey": privateKeyResource,
  "tls:index/certRequest:CertRequest": certificateResource(certRequest),
  "tls:index/selfSignedCert:SelfSignedCert": certificateResource(selfSignedCert),
  "tls:index/locallySignedCert:LocallySignedCert": certificateResource(locallySignedCert),
};

/** What the provider would give, of the resources whose outputs others use. */
const made: Readonly<Record<string, (index: number) => Values>> = {
  "redisaccess:index:Password": (index) => ({ value: `secret${String(index).padStart(58, "0")}` }),
  "redisaccess:index:Process": (index) => ({ pid: index, state: "running" }),
  "redisaccess:index:ClusterDeclaration": () => ({ former: [] }),
  "redisaccess:index:ClusterFormation": () => ({ nodeIds: ["a", "b", "c", "d", "e", "f"].map((digit) => digit.repeat(40)) }),
};

/**
 * Stands in for Pulumi's engine under a program of components: it makes real certificates, by the toolchain's own tls
 * plugin, and nothing else. It keeps what Pulumi's mocks do not tell: parents, protection, secrets, registered outputs.
 */
export class MockEngine {
  readonly registrations: Registration[] = [];
  readonly #options: MockEngineOptions;

  private constructor(options: MockEngineOptions) {
    this.#options = options;
  }

  /** Runs a program to the end of all that it has declared. It must have nothing to complain of. */
  static async run<T>(program: () => T, options: MockEngineOptions = {}): Promise<{ readonly result: T; readonly registrations: readonly Registration[] }> {
    const engine = new MockEngine(options);
    const preview = options.preview ?? options.yetToBeMade !== undefined;
    await pulumi.runtime.setMocks({ newResource: (args) => engine.#make(args), call: () => engine.#examination() }, "project", "stack", preview);
    const monitor = pulumi.runtime.getMonitor() as unknown as { registerResource: Register; registerResourceOutputs: RegisterOutputs };
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (request, callback) => {
      engine.#record(request);
      return register(request, callback);
    };
    const registerOutputs = monitor.registerResourceOutputs.bind(monitor);
    monitor.registerResourceOutputs = (request, callback) => {
      engine.#recordOutputs(request);
      registerOutputs(request, callback);
    };
    const result = program();
    await pulumi.runtime.disconnect();
    return { result, registrations: engine.registrations };
  }

  /** Runs a program that fails, and gives the errors that Pulumi would show for it. */
  static async failuresOf(program: () => unknown, options: MockEngineOptions): Promise<readonly unknown[]> {
    const failures = new Set<unknown>();
    const collect = (error: unknown): void => {
      failures.add(error);
    };
    // Pulumi learns of them as rejections that nobody has handled; the test runner would take these for its own.
    const listeners = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection").on("unhandledRejection", collect);
    try {
      await MockEngine.run(program, options).catch(collect);
      await setImmediate();
    } finally {
      process.removeAllListeners("unhandledRejection");
      for (const listener of listeners) process.on("unhandledRejection", listener);
    }
    return [...failures];
  }

  #record(request: resource.RegisterResourceRequest): void {
    const parent = this.registrations.findLast(({ name, type }) => request.getParent().endsWith(`${type}::${name}`));
    const type = request.getType();
    const name = request.getName();
    const { values, secrets } = decode(request.getObject()?.toJavaScript() ?? {});
    const types = parent === undefined ? type : `${parent.urn.split("::")[2]!}$${type}`;
    this.registrations.push({
      ...{ type, name, parent, inputs: values, secretInputs: secrets },
      urn: `urn:pulumi:stack::project::${types}::${name}`,
      custom: request.getCustom(),
      protect: request.getProtect() ?? false,
      dependencies: new Set(request.getDependenciesList().map((urn) => urn.split("::").at(-1)!)),
      outputs: undefined,
      secretOutputs: new Set(),
    });
  }

  #recordOutputs(request: resource.RegisterResourceOutputsRequest): void {
    const registration = this.registrations.findLast(({ name, type }) => request.getUrn().endsWith(`${type}::${name}`));
    if (registration === undefined) throw new Error(`outputs of ${request.getUrn()}, which was never declared`);
    const { values, secrets } = decode(request.getOutputs()?.toJavaScript() ?? {});
    registration.outputs = values;
    registration.secretOutputs = secrets;
  }

  async #make({ type, name, inputs, custom }: MockResourceArgs): Promise<MockResourceResult> {
    const given = revealAll(inputs as Properties);
    const id = custom === true ? `${name}-id` : undefined;
    if (this.#options.preview === true || this.#options.yetToBeMade?.has(name) === true) return { id, state: given };
    const certificate = certificates[type as keyof typeof certificates] as typeof privateKeyResource | undefined;
    if (type === "redisaccess:index:CertificateTerm") return { id, state: { ...given, begun: this.#options.termsBegun ?? "2020-01-01T00:00:00.000Z" } };
    if (certificate === undefined) return { id, state: { ...given, ...made[type]?.(this.registrations.length) } };
    const { outputs } = await certificate.create({ urn: "", name }, this.#options.spoil?.(type, given) ?? given, false);
    return { id, state: revealAll(outputs) };
  }

  #examination(): Record<string, unknown> {
    const stop = "*** FATAL CONFIG FILE ERROR ***\nReading the configuration file, at line 2\n>>> 'redis-access-examination yes'\nBad directive or wrong number of arguments\n";
    return { stdout: `Redis server v=${this.#options.redisVersion ?? "7.0.15"} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1\n${stop}` };
  }
}

/** The value of an output; undefined where it is not known, as in a preview. */
export async function valueOf<T>(output: pulumi.Output<T>): Promise<T | undefined> {
  const { promise, isKnown } = output as unknown as { promise: () => Promise<T>; isKnown: Promise<boolean> };
  const value = await promise.call(output);
  return (await isKnown) ? value : undefined;
}
